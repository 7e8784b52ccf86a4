// The three figures of a job, and the legends that say what is drawn.

import { byId, el } from "/assets/dom.js";
import { fixed } from "/assets/format.js";
import { Chart } from "/assets/chart.js";

const DASH = [5, 4];
const FINE = [2, 3];

const fromZero = (_, largest) => [0, 1.08 * Math.max(largest, 1e-9)];
const percentages = (least) => [Math.max(0, Math.floor((Math.min(least, 95) - 2) / 10) * 10), 100];

const FIGURES = {
  entropy: {
    lines: [
      { name: "at sampling temperature", field: "entropy" },
      { name: "at temperature 1", field: "entropy_untempered", dash: DASH, quiet: true },
    ],
    scale: 1,
    read: (value) => fixed(value, 3),
    tick: (value) => String(Number(value.toPrecision(6))),
    range: fromZero,
  },
  length: {
    lines: [
      { name: "mean", field: "response_length_mean" },
      { name: "median", field: "response_length_median", dash: FINE, quiet: true },
    ],
    scale: 1,
    read: (value) => fixed(value, 1),
    tick: (value) => String(value),
    range: fromZero,
    held: (found) => ({ value: found.length_mean }),
  },
  accuracy: {
    lines: [{ name: "training samples", field: "accuracy" }],
    scale: 100,
    read: (value) => `${fixed(value, 1)} %`,
    tick: (value) => String(value),
    range: percentages,
    held: ({ accuracy, accuracy_ci95: interval }) => ({
      value: accuracy === null ? null : 100 * accuracy,
      low: interval ? 100 * interval[0] : null,
      high: interval ? 100 * interval[1] : null,
    }),
  },
};

/** Make the charts; the function returned shows a course in all of them. */
export function drawFigures() {
  const charts = Object.entries(FIGURES).map(([name, figure]) => {
    byId(`${name}-legend`).append(...legend(figure));
    return new Chart(byId(name), byId(`${name}-title`).textContent, figure);
  });
  return (course, stages) => charts.forEach((chart) => chart.show(course, stages));
}

function legend({ lines, held }) {
  const kind = (line) => (line.dash === DASH ? "dashed" : line.dash ? "fine" : "solid");
  const items = lines.map((line) => el("li", {}, el("i", { class: kind(line) }), line.name));
  if (held) items.push(el("li", {}, el("i", { class: "point" }), "held out"));
  return items;
}
