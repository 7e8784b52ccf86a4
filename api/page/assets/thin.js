// Long runs on few pixels.

/** Indices of the points to draw, at most about `limit`, in order.
 *
 * The points are cut into buckets of equal count; of each bucket stay the least and the largest
 * value of every column, so that no spike is lost; first and last point stay as well. Values that
 * are null were not measured and are passed over. */
export function thin(columns, limit) {
  const length = columns[0]?.length ?? 0;
  if (length <= limit) return Array.from({ length }, (_, i) => i);
  const buckets = Math.max(1, Math.floor(limit / (2 * columns.length)));
  const kept = new Set([0, length - 1]);
  for (let b = 0; b < buckets; b += 1) {
    const from = Math.floor((b * length) / buckets);
    const to = Math.floor(((b + 1) * length) / buckets);
    for (const column of columns) extremes(column, from, to).forEach((i) => kept.add(i));
  }
  return [...kept].sort((a, b) => a - b);
}

function extremes(column, from, to) {
  let least = -1;
  let largest = -1;
  for (let i = from; i < to; i += 1) {
    const value = column[i];
    if (value === null || value === undefined) continue;
    if (least < 0 || value < column[least]) least = i;
    if (largest < 0 || value > column[largest]) largest = i;
  }
  return least < 0 ? [] : [least, largest];
}
