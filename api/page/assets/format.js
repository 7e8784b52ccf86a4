// Figures for people.

const NONE = "–";

/** Digits after the point, or a dash where there is nothing to show. */
export function fixed(value, digits) {
  return Number.isFinite(value) ? value.toFixed(digits) : NONE;
}

/** A share as percent. */
export function percent(share, digits = 1) {
  return Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : NONE;
}

/** A count with its thousands apart. */
export function count(value) {
  return Number.isFinite(value) ? Math.round(value).toLocaleString("en-GB") : NONE;
}

/** Seconds: `4 s`, `2 min 05 s`, `3 h 12 min`. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** Seconds of one step, where tenths matter. */
export function seconds(value) {
  return Number.isFinite(value) ? `${value.toFixed(value < 10 ? 1 : 0)} s` : NONE;
}

/** Unix seconds as a clock of this place. */
export function clock(unix) {
  return new Date(unix * 1000).toLocaleTimeString("en-GB");
}

/** Unix seconds as a day and a time of this place. */
export function moment(unix) {
  const day = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  return new Date(unix * 1000).toLocaleString("en-GB", day);
}
