// One figure over the steps: lines, stages shaded, held-out evaluations as points with intervals.

import { el } from "/assets/dom.js";
import { evaluated, stageName } from "/assets/course.js";
import { thin } from "/assets/thin.js";

const POINTS = 1500; // more than a line can show on the widest screen
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000];
const charts = [];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Colour of a stage: by its place in the job's list, as in the reports. */
export function stageColour(label, stages) {
  const place = Math.max(0, stages.indexOf(stageName(label)));
  return colour(`--stage-${place % 4}`);
}

/** A chart in `host`.
 *
 * `figure`: `lines` (name, field, dash, quiet), `scale` (factor of every value), `read` (value to
 * text), `tick` (value on the axis to text), `range` (least and largest value to the axis' ends),
 * and perhaps `held` (evaluation to its value and interval). */
export class Chart {
  #host;
  #figure;
  #plot = null;
  #course = null;
  #stages = [];
  #tip = el("div", { class: "tip", "aria-hidden": "true" });
  #spoken = el("p", { class: "unseen", "aria-live": "polite" });

  constructor(host, title, figure) {
    this.#host = host;
    this.#figure = figure;
    host.tabIndex = 0;
    host.setAttribute("role", "group");
    host.setAttribute("aria-label", `${title}, chart. Left and right arrows read the steps.`);
    host.addEventListener("keydown", (event) => this.#onKey(event));
    host.addEventListener("blur", () => charts.forEach((chart) => chart.point(null)));
    new ResizeObserver(() => this.#resize()).observe(host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#plot?.redraw(false, true);
    });
    charts.push(this);
  }

  /** Show the course so far; `stages` are the names of the job's stages, in order. */
  show(course, stages) {
    this.#course = course;
    this.#stages = stages;
    if (!course.steps.length && !course.evaluations.length) return;
    const columns = this.#figure.lines.map((line) =>
      course.column(line.field).map((v) => (v === null ? null : v * this.#figure.scale)),
    );
    const kept = thin(columns, POINTS);
    const data = [
      kept.map((i) => course.steps[i].step),
      ...columns.map((c) => kept.map((i) => c[i])),
    ];
    if (this.#plot) this.#plot.setData(data);
    else this.#draw(data);
  }

  /** Put the cursor on a step, or take it away. */
  point(step) {
    if (!this.#plot) return;
    const left = step === null ? -10 : this.#plot.valToPos(step, "x");
    this.#plot.setCursor({ left, top: step === null ? -10 : 1 }, true, false);
  }

  // -- drawing ----------------------------------------------------------------------------------

  #draw(data) {
    this.#plot = new uPlot(this.#options(), data, this.#host);
    this.#plot.over.append(this.#tip);
    this.#host.append(this.#spoken);
    this.#plot.over.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") return; // a mouse is the plot's own business
      const step = this.#plot.posToVal(event.offsetX, "x");
      charts.forEach((chart) => chart.point(step));
    });
  }

  #options() {
    const quiet = () => colour("--quiet");
    const font = '12px "IBM Plex Sans", system-ui, sans-serif';
    const axis = { stroke: quiet, font, ticks: { show: false }, gap: 6 };
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [20, 12, 0, 0],
      cursor: {
        y: false,
        drag: { x: false, y: false, setScale: false },
        points: { size: 8, width: 2, fill: () => colour("--page") },
        sync: { key: "steps" },
      },
      scales: {
        x: { time: false, range: () => [0, Math.max(1, this.#last())] },
        y: { range: () => this.#figure.range(...this.#extent()) },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 28, space: 56, incrs: WHOLE },
        {
          ...axis,
          grid: { stroke: () => colour("--grid"), width: 1 },
          size: 48,
          space: 34,
          values: (_, ticks) => ticks.map((tick) => this.#figure.tick(tick)),
        },
      ],
      series: [{}, ...this.#figure.lines.map((line) => this.#line(line))],
      hooks: {
        drawClear: [(plot) => this.#shade(plot)],
        draw: [(plot) => this.#mark(plot)],
        setCursor: [(plot) => this.#showTip(plot)],
      },
    };
  }

  #line({ dash, quiet }) {
    return {
      stroke: () => colour(quiet ? "--quiet" : "--ink"),
      width: quiet ? 1.25 : 2,
      dash,
      points: { show: (plot) => plot.data[0].length < 3, size: 6 },
    };
  }

  #size() {
    return { width: Math.max(200, this.#host.clientWidth), height: this.#host.clientHeight };
  }

  #resize() {
    if (this.#plot && this.#host.clientWidth) this.#plot.setSize(this.#size());
  }

  #last() {
    return Math.max(this.#course.last, ...this.#course.evaluations.map((found) => found.step));
  }

  /** Least and largest value drawn; not numbers where nothing is. */
  #extent() {
    const { lines, scale } = this.#figure;
    let [least, largest] = [Infinity, -Infinity];
    const see = (value) => {
      if (!Number.isFinite(value)) return;
      least = Math.min(least, value);
      largest = Math.max(largest, value);
    };
    for (const record of this.#course.steps)
      for (const line of lines) if (record[line.field] !== null) see(record[line.field] * scale);
    for (const point of this.#held()) [point.value, point.low, point.high].forEach(see);
    return [least, largest];
  }

  #held() {
    const { held } = this.#figure;
    return held
      ? this.#course.evaluations.map((e) => ({ step: e.step, name: evaluated(e), ...held(e) }))
      : [];
  }

  /** Stages as bands with their names, behind everything else. */
  #shade(plot) {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    const at = (step) =>
      Math.min(Math.max(plot.valToPos(step, "x", true), bbox.left), bbox.left + bbox.width);
    ctx.save();
    ctx.font = `600 ${11 * ratio}px "IBM Plex Sans", system-ui, sans-serif`;
    ctx.textBaseline = "bottom";
    ctx.textAlign = "left";
    for (const { stage, from, to } of this.#course.spans) {
      const left = from === 1 ? bbox.left : at(from - 0.5);
      const width = at(to + 0.5) - left;
      ctx.fillStyle = stageColour(stage, this.#stages);
      ctx.globalAlpha = Number(colour("--shade"));
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.globalAlpha = 1;
      ctx.fillRect(left, bbox.top - 2 * ratio, width, 2 * ratio);
      if (ctx.measureText(stage).width < width - 4 * ratio) {
        ctx.fillStyle = colour("--quiet");
        ctx.fillText(stage, left + 1 * ratio, bbox.top - 5 * ratio);
      }
    }
    ctx.restore();
  }

  /** Held-out evaluations, over everything else. */
  #mark(plot) {
    const { ctx } = plot;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = colour("--accent");
    ctx.fillStyle = colour("--page");
    ctx.lineWidth = 1.75 * ratio;
    ctx.setLineDash([]);
    for (const { step, value, low, high } of this.#held()) {
      if (!Number.isFinite(value)) continue;
      const x = plot.valToPos(step, "x", true);
      if (Number.isFinite(low) && Number.isFinite(high)) {
        ctx.beginPath();
        ctx.moveTo(x, plot.valToPos(low, "y", true));
        ctx.lineTo(x, plot.valToPos(high, "y", true));
        ctx.stroke();
      }
      ctx.beginPath();
      ctx.arc(x, plot.valToPos(value, "y", true), 4 * ratio, 0, 2 * Math.PI);
      ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
  }

  // -- reading ----------------------------------------------------------------------------------

  #showTip(plot) {
    const { idx, left } = plot.cursor;
    const hidden = idx === null || idx === undefined || left < 0;
    this.#tip.hidden = hidden;
    if (hidden) return;
    const rows = this.#rows(plot, idx);
    this.#tip.replaceChildren(
      ...rows.map(([name, text]) => el("span", {}, el("i", {}, name), ` ${text}`)),
    );
    // Beside the cursor, and where the line is not.
    const { clientWidth: width, clientHeight: height } = plot.over;
    const { offsetWidth: wide, offsetHeight: high } = this.#tip;
    const x = plot.valToPos(plot.data[0][idx], "x");
    const y = plot.valToPos(plot.data[1][idx] ?? 0, "y");
    const beside = x + 12 + wide > width ? x - 12 - wide : x + 12;
    this.#tip.style.left = `${Math.max(0, beside)}px`;
    this.#tip.style.top = `${y < height / 2 ? height - high - 6 : 6}px`;
  }

  #rows(plot, idx) {
    const step = plot.data[0][idx];
    const stage = this.#course.steps.find((record) => record.step === step)?.stage ?? "";
    const rows = [[`step ${step}`, stage]];
    this.#figure.lines.forEach((line, i) => {
      const value = plot.data[i + 1][idx];
      if (value !== null && value !== undefined) rows.push([line.name, this.#figure.read(value)]);
    });
    for (const point of this.#held().filter((p) => p.step === step && Number.isFinite(p.value)))
      rows.push([`held out, ${point.name}`, this.#figure.read(point.value)]);
    return rows;
  }

  #onKey(event) {
    if (!this.#plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = this.#plot.data[0];
    const here = this.#plot.cursor.idx ?? (event.key === "ArrowLeft" ? steps.length : -1);
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: steps.length - 1 }[
      event.key
    ];
    if (event.key === "Escape") charts.forEach((chart) => chart.point(null));
    if (to === undefined || !steps.length) return;
    event.preventDefault();
    const idx = Math.min(Math.max(to, 0), steps.length - 1);
    charts.forEach((chart) => chart.point(steps[idx]));
    this.#spoken.textContent = this.#rows(this.#plot, idx)
      .map((row) => row.join(" "))
      .join(", ");
  }
}
