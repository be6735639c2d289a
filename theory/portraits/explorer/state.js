// The state of the page as text: what stands after # in its address. It is data: numbers are cut to their ranges, names
// must be in their lists, and whatever else stands there is ignored.

const NUMBERS = { // key: [lowest, highest, at the start]
  p: [0.05, 4, 0.5], q: [0.05, 4, 0.5], kp: [-2, 2, 1], km: [-2, 2, 0],
  n: [0, 5000, 0], noise: [0, 2, 0], seed: [0, 1e6, 0],
  c: [-9, 9, 1], t: [0.1, 1e4, 20], eta: [0.001, 4, 0.1], d: [1, 40, 10], speed: [0.125, 16, 1], cells: [8, 120, 40],
  sr: [0.01, 4, 1], st: [0, 180, 130], sa: [0, 4, 0],
};
const WHOLE = ["n", "seed", "d", "cells"];
const NAMES = { // key: [allowed ..., ] the first is that at the start
  plane: ["line", "balanced", "slice"],
  sign: ["plus", "minus"],
  field: ["arrows", "streams", "none"],
  init: ["balanced", "bounded", "normal"],
  ssign: ["plus", "minus"],
};
const LAYERS = ["basins", "equilibria", "nullclines", "switching", "separatrix", "levels", "time"];
const FLAGS = { back: false, gd: false, snap: true, map: false };
const MOST_STARTS = 64, MOST_TEXT = 20000, LARGEST = 1e3;

const cut = (value, low, high) => Math.min(Math.max(value, low), high);

function startingState() {
  const state = { layers: LAYERS.slice(0, 5), box: null, starts: [], selected: -1, edge: 0, step: 0 };
  for (const [key, [, , value]] of Object.entries(NUMBERS)) state[key] = value;
  for (const [key, [name]] of Object.entries(NAMES)) state[key] = name;
  return { ...state, ...FLAGS };
}

const numeral = (text) => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i.test(text) ? Number(text) : NaN);

function readState(text) {
  const state = startingState();
  for (const part of String(text).slice(0, MOST_TEXT).replace(/^#/, "").split("&")) {
    const [key, value = ""] = part.split("=", 2);
    if (Object.hasOwn(NUMBERS, key)) {
      const found = numeral(value), [low, high] = NUMBERS[key];
      if (Number.isFinite(found)) state[key] = cut(WHOLE.includes(key) ? Math.round(found) : found, low, high);
    } else if (Object.hasOwn(NAMES, key)) {
      if (NAMES[key].includes(value)) state[key] = value;
    } else if (Object.hasOwn(FLAGS, key)) {
      if (value === "0" || value === "1") state[key] = value === "1";
    } else if (key === "layers") {
      state.layers = LAYERS.filter((layer) => value.split(",").includes(layer));
    } else if (key === "box") {
      const found = value.split(",").map(numeral);
      if (isBox(found)) state.box = found;
    } else if (key === "starts") {
      const pairs = value.split(";").slice(0, MOST_STARTS).map((pair) => pair.split(",").map(numeral));
      state.starts = pairs.filter((pair) => pair.length === 2 && pair.every((x) => Math.abs(x) <= LARGEST));
    } else if (key === "selected" || key === "edge" || key === "step") {
      const found = numeral(value);
      if (Number.isInteger(found)) state[key] = cut(found, key === "selected" ? -1 : 0, MOST_STARTS);
    }
  }
  return valid(state);
}

const isBox = (box) => box.length === 4 && box.every((x) => Math.abs(x) <= LARGEST)
  && box[1] - box[0] > 1e-6 && box[3] - box[2] > 1e-6;

// What depends on other entries: starts lie in their plane, the chosen one exists.
function valid(state) {
  if (state.plane === "slice" && Math.abs(state.c) < 1e-3) state.c = 0;
  if (state.plane !== "line") {
    const signed = state.plane === "slice" && state.c < 0;
    state.starts = state.starts.map(([x, y]) => [signed ? x : Math.max(x, 0), cut(y, 0, Math.PI)]);
    if (state.box) {
      const [x0, x1, y0, y1] = state.box;
      const box = [signed ? x0 : Math.max(x0, 0), x1, Math.max(y0, 0), Math.min(y1, Math.PI)];
      state.box = isBox(box) ? box : null;
    }
  }
  state.selected = state.starts.length ? cut(state.selected < 0 ? state.starts.length - 1 : state.selected, 0, state.starts.length - 1) : -1;
  state.step = Math.min(state.step, 4);
  return state;
}

function writeState(state) {
  const usual = startingState(), parts = [];
  for (const key of [...Object.keys(NAMES), ...Object.keys(NUMBERS)]) {
    if (state[key] !== usual[key]) parts.push(`${key}=${state[key]}`);
  }
  for (const key of Object.keys(FLAGS)) if (state[key] !== usual[key]) parts.push(`${key}=${state[key] ? 1 : 0}`);
  if (state.layers.join() !== usual.layers.join()) parts.push(`layers=${state.layers.join()}`);
  if (state.box) parts.push(`box=${state.box.join()}`);
  if (state.starts.length) parts.push(`starts=${state.starts.map((pair) => pair.join()).join(";")}`);
  for (const key of ["edge", "step"]) if (state[key]) parts.push(`${key}=${state[key]}`);
  if (state.starts.length && state.selected !== state.starts.length - 1) parts.push(`selected=${state.selected}`);
  return parts.join("&");
}
