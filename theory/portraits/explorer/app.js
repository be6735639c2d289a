// The page itself: it reads the state, draws, and turns what the user does into a new state.

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function svgNode([tag, attributes, ...children]) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.map((child) => (Array.isArray(child) ? svgNode(child) : document.createTextNode(child))));
  return made;
}

const WORDS = { [LEARNS]: "learns", [FAILS]: "fails", [SEPARATRIX]: "on the separatrix: tends to the origin, does not learn" };

function startApp(about) {
  const motionless = matchMedia("(prefers-reduced-motion: reduce)"), darkness = matchMedia("(prefers-color-scheme: dark)");
  const given = document.querySelector('meta[name="explore-state"]').content;
  let state = readState(location.hash.length > 1 ? location.hash : given);
  let plane, paths = [], view, cursor = null, playing = null, clock = null, map = null, mapRun = 0, drag = null, waiting = false, stale = true;
  let sampled = null, sampling = false;
  const past = [], timings = [];
  const theme = () => THEMES[darkness.matches ? "dark" : "light"];
  const boxNow = () => state.box || plane.home;

  // --- state

  function change(part, { undoable = true } = {}) {
    if (undoable) {
      past.push(state);
      if (past.length > 200) past.shift();
    }
    const before = state;
    state = valid({ ...state, ...part });
    if (before.plane !== state.plane) Object.assign(state, { box: null, starts: part.starts || [], selected: -1, edge: 0 });
    if (["plane", "sign", "p", "q", "kp", "km", "c", "n", "noise", "seed", "box", "cells"].some((key) => state[key] !== before[key])) stopMap();
    refresh();
  }

  function undo() {
    if (!past.length) return;
    state = past.pop();
    stopMap();
    refresh();
  }

  // Paths are kept while nothing that they depend on changes: of many, a drag recomputes one.
  let kept = new Map();

  function build() {
    plane = planeOf(state);
    const flow = [plane.name, JSON.stringify(plane.on), state.t, state.back, state.gd && state.eta].join();
    const found = new Map();
    paths = state.starts.map(([x, y]) => {
      const key = `${flow};${x};${y}`, path = kept.get(key) || pathFrom(x, y);
      found.set(key, path);
      return path;
    });
    kept = found;
    stale = false;
  }

  function pathFrom(x, y) {
    const path = plane.path(x, y);
    path.earliest = state.back ? earliestOf(plane, path, state) : 0;
    path.drawn = pathPoints(plane, path, state);
    if (state.gd) path.descent = descentPoints(x, y);
    return path;
  }

  function descentPoints(x, y) {
    const rows = plane.descent(x, y, state.eta, descentSteps(state));
    if (plane.name === "line") return rows;
    return rows.map(([a, u, v]) => [plane.on.first === "a" ? a : Math.hypot(u, v), Math.atan2(Math.abs(v), u)]);
  }

  function refresh() {
    stale = true;
    redrawSoon();
    if (drag) return; // while something is dragged, at most one picture a frame and nothing else
    build();
    showAll();
  }

  function showAll() {
    showControls();
    showStarts();
    showSeries();
    showStory();
    showShare();
    showLegend();
    showHypotheses();
  }

  // --- the picture

  function redrawSoon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  }

  function itemsOf(of) {
    const colours = theme();
    return [...background(plane, state, of, colours, map), ...fieldItems(plane, state, of, colours), ...curveItems(plane, state, of, colours),
      ...pathItems(plane, state, of, colours, paths, clock), ...cursorItems(of, colours)];
  }

  function cursorItems(of, colours) {
    if (!cursor || document.activeElement !== byId("plot")) return [];
    const x = of.X(cursor[0]), y = of.Y(cursor[1]);
    return [[[x - 9, y], [x + 9, y]], [[x, y - 9], [x, y + 9]]].map((points) => ({ kind: "line", points, stroke: colours.select, width: 2 }));
  }

  function draw() {
    const started = performance.now(), plot = byId("plot"), canvas = byId("canvas");
    if (stale) build();
    const width = Math.max(plot.clientWidth, 200), height = Math.max(plot.clientHeight, 200), ratio = Math.min(devicePixelRatio || 1, 3);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const box = boxNow(), same = view && view.width === width && view.height === height && view.box.join() === box.join() && view.plane === plane.labels.join() && view.theme === theme();
    view = Object.assign(viewOf(box, width, height), { plane: plane.labels.join(), theme: theme() });
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    paint(context, itemsOf(view), view);
    if (!same) {
      const axes = byId("axes");
      axes.setAttribute("viewBox", `0 0 ${width} ${height}`);
      axes.replaceChildren(...axesTree(plane, view, theme()).map(svgNode));
    }
    timings.push(performance.now() - started);
    if (timings.length > 2000) timings.shift();
  }

  // --- starts

  function addStart(x, y) {
    const [sx, sy] = state.snap ? plane.snap(x, y, 5 / view.perX) : [x, y];
    if (state.starts.length >= MOST_STARTS) return say(`No more than ${MOST_STARTS} trajectories: remove one, or clear.`);
    const place = plane.name === "line" ? [sx, sy] : [plane.on.c < 0 ? sx : Math.max(sx, 0), cut(sy, 0, Math.PI)];
    change({ starts: [...state.starts, place], selected: state.starts.length });
    announce();
  }

  function moveStart(index, x, y, undoable) {
    const starts = state.starts.map((pair, i) => (i === index ? [x, y] : pair));
    change({ starts, selected: index }, { undoable });
  }

  function removeStart(index) {
    change({ starts: state.starts.filter((_, i) => i !== index), selected: Math.min(state.selected, state.starts.length - 2) });
  }

  function gridOfStarts() {
    const [x0, x1, y0, y1] = boxNow(), n = 6, starts = [];
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) starts.push([x0 + ((i + 0.5) / n) * (x1 - x0), y0 + ((j + 0.5) / n) * (y1 - y0)].map(tidy));
    change({ starts, selected: 0 });
    const learn = paths.filter((path) => path.verdict === LEARNS).length;
    say(`${starts.length} trajectories: ${learn} learn, ${starts.length - learn} do not.`);
  }

  const written = (name) => name.replace("w_1", "w₁").replace("|w_perp|", "|w⊥|");
  const tidy = (x) => Number(x.toPrecision(6));
  const say = (text) => { byId("verdict").textContent = text; };

  function announce() {
    const path = paths[state.selected];
    if (!path) return say("");
    const values = Object.entries(plane.values(path.at(0))).map(([name, value]) => `${written(name)} = ${short(value)}`).join(", ");
    say(`Start ${state.selected + 1} (${values}) ${WORDS[path.verdict]}; limit a = ${short(path.limit.a)}, ${plane.name === "line" ? "w" : "w₁"} = ${short(path.limit.w)}.`);
  }

  function eventsOf(path) {
    return path.eventsUntil ? path.eventsUntil(state.t) : path.events.filter((event) => event.t <= state.t);
  }

  function driftOf(path) {
    let worst = 0;
    for (const t of [0.1, 0.25, 0.5, 1]) {
      const found = path.at(t * state.t), drift = found.drift ?? (plane.balance(found.a, found.w) - path.c) / (found.a ** 2 + found.w ** 2 + Math.abs(path.c) + TINY);
      worst = Math.max(worst, Math.abs(drift));
    }
    return worst;
  }

  function descentNote(i) {
    const path = paths[i];
    if (!path.descent) return "";
    const [x, y] = state.starts[i], rows = plane.descent(x, y, state.eta, descentSteps(state)), last = rows[rows.length - 1];
    const r = plane.name === "line" ? Math.abs(last[1]) : Math.hypot(last[1], last[2]);
    const c = (Math.abs(last[0]) - r) * (Math.abs(last[0]) + r);
    const loss = plane.name === "line" ? lineLoss(plane.on, last[0], last[1]) : polarLoss(last[0], r, Math.atan2(Math.abs(last[2]), -last[1]));
    return Number.isFinite(loss) ? `loss ${accurate(loss)}, c ${short(c)} after ${rows.length - 1} steps` : `diverges after ${rows.length - 1} steps`;
  }

  const accurate = (loss) => (loss < 1e-12 ? "< 1e-12" : short(loss, 3)); // below it digits are lost to rounding

  function showStarts() {
    const table = byId("starts"), names = plane.name === "line" ? ["a", "w"] : [plane.on.first, "θ"];
    const heads = ["", ...names, "verdict", "limit", "events", "time to learn", "c", "drift of c"].concat(state.gd ? ["gradient descent"] : []);
    table.tHead.replaceChildren(node("tr", {}, ...heads.map((head) => node("th", { scope: "col" }, head))));
    const focus = document.activeElement?.dataset?.cell;
    const rows = paths.map((path, i) => {
      const entry = (k) => node("input", { type: "number", step: "any", value: tidyText(state.starts[i][k]), "data-cell": `${i},${k}`, "aria-label": `${names[k]} of start ${i + 1}`,
        onchange: (event) => {
          const value = Number(event.target.value);
          if (event.target.value === "" || !Number.isFinite(value) || Math.abs(value) > LARGEST) return showStarts();
          moveStart(i, ...(k === 0 ? [value, state.starts[i][1]] : [state.starts[i][0], value]), true);
          announce();
        } });
      const events = eventsOf(path).map(({ name, t }) => `${written(name)} at ${short(t, 6)}`).join("; ") || "none";
      const shortfall = path.ahead && path.ahead.last < state.t && ["stopped", "ends"].includes(path.ahead.status) ? `; followed to t = ${short(path.ahead.last)} only` : "";
      const time = path.verdict === LEARNS ? learnedAt(path) : "never";
      const cells = [node("label", {}, node("input", { type: "radio", name: "chosen", checked: i === state.selected, "aria-label": `choose start ${i + 1}`,
        onchange: () => { change({ selected: i }, { undoable: false }); announce(); } }), ` ${i + 1} `), entry(0), entry(1),
      node("span", { class: path.verdict }, path.verdict), `${short(path.limit.a, 6)}, ${short(path.limit.w, 6)}`, events + shortfall, time, short(path.c, 6), short(driftOf(path), 2)];
      if (state.gd) cells.push(descentNote(i));
      return node("tr", {}, ...cells.map((cell) => node("td", {}, cell)), node("td", {}, node("button", { type: "button", "aria-label": `remove start ${i + 1}`, onclick: () => removeStart(i) }, "×")));
    });
    table.tBodies[0].replaceChildren(...rows.slice(0, 12), ...(rows.length > 12 ? [node("tr", {}, node("td", { colspan: heads.length }, `and ${rows.length - 12} more, in the CSV`))] : []));
    if (focus) table.querySelector(`[data-cell="${focus}"]`)?.focus();
  }

  const tidyText = (x) => String(x);

  function learnedAt(path) {
    const time = (path.learned ??= path.timeToLearn(LEARNED_BELOW));
    return Number.isFinite(time) ? short(time, 6) : "too long to follow";
  }

  // --- the chosen trajectory over time

  function showSeries() {
    const path = paths[state.selected], place = byId("series");
    if (!path) return place.replaceChildren();
    const colours = theme(), W = 640, H = 190, left = 52, mid = 330, top = 16, bottom = 158, n = 200;
    const times = Array.from({ length: n + 1 }, (_, i) => (state.t * i) / n), found = times.map((t) => path.at(t));
    const values = found.map((one) => Object.values(plane.values(one))), names = Object.keys(plane.values(found[0]));
    const low = Math.min(...values.flat(), 0), high = Math.max(...values.flat(), low + 1e-9);
    const X = (t, from, to) => from + (t / state.t) * (to - from), Y = (v) => bottom - ((v - low) / (high - low)) * (bottom - top);
    const logs = found.map((one) => Math.log10(Math.max(one.loss, 1e-12))), lowest = Math.min(Math.floor(Math.min(...logs)), -1), highest = Math.max(Math.ceil(Math.max(...logs)), 0);
    const L = (v) => bottom - ((v - lowest) / (highest - lowest)) * (bottom - top);
    const strokes = [colours.nullX, colours.pathLearns, colours.nullY], dashes = ["none", "7 3", "2 3"];
    const text = (x, y, content, more = {}) => ["text", { x, y, fill: colours.ink, "font-size": 12, ...more }, content];
    const tree = [
      ["rect", { x: left, y: top, width: 230, height: bottom - top, fill: "none", stroke: colours.muted }], ["rect", { x: mid + 40, y: top, width: 250, height: bottom - top, fill: "none", stroke: colours.muted }],
      ...names.map((_, k) => ["polyline", { points: coordinates(times.map((t, i) => [X(t, left, left + 230), Y(values[i][k])])), fill: "none", stroke: strokes[k], "stroke-width": 2, "stroke-dasharray": dashes[k] }]),
      ["polyline", { points: coordinates(times.map((t, i) => [X(t, mid + 40, mid + 290), L(logs[i])])), fill: "none", stroke: colours.separatrix, "stroke-width": 2 }],
      text(left - 6, top + 8, short(high, 3), { "text-anchor": "end" }), text(left - 6, bottom, short(low, 3), { "text-anchor": "end" }), text(left, bottom + 16, "0"), text(left + 230, bottom + 16, `t = ${short(state.t, 3)}`, { "text-anchor": "end" }),
      text(mid + 34, top + 8, `1e${highest}`, { "text-anchor": "end" }), text(mid + 34, bottom, `1e${lowest}`, { "text-anchor": "end" }), text(mid + 165, bottom + 30, "loss", { "text-anchor": "middle" }),
      ...names.map((name, k) => ["g", {}, ["line", { x1: left + 78 * k, x2: left + 78 * k + 20, y1: bottom + 26, y2: bottom + 26, stroke: strokes[k], "stroke-width": 2, "stroke-dasharray": dashes[k] }],
        text(left + 78 * k + 24, bottom + 30, written(name))]),
      ...(clock === null ? [] : [left, mid + 40].map((from, k) => ["line", { x1: X(clock, from, from + [230, 250][k]), x2: X(clock, from, from + [230, 250][k]), y1: top, y2: bottom, stroke: colours.select }])),
    ];
    place.replaceChildren(svgNode(["svg", { viewBox: `0 0 ${W} ${H + 6}`, role: "img", "aria-label": `Start ${state.selected + 1} over time: ${names.join(", ")} and the loss` }, ...tree]));
  }

  // --- controls

  const SLIDERS = [ // key, label, step, logarithmic, shown where
    ["balance", "balance c", 0.01, false, () => state.plane !== "line" || state.selected >= 0], ["scale", "scale |(a, w)|", 0.01, false, () => state.selected >= 0],
    ["p", "C+", 0.01, false, () => state.plane === "line" && !state.n], ["q", "C−", 0.01, false, () => state.plane === "line" && !state.n],
    ["kp", "target slope k+", 0.01, false, () => state.plane === "line" && !state.n], ["km", "target slope k−", 0.01, false, () => state.plane === "line" && !state.n],
    ["n", "samples (0: all)", 1, false, () => state.plane === "line"], ["noise", "label noise", 0.01, false, () => state.plane === "line" && state.n > 0], ["seed", "seed", 1, false, () => true],
    ["t", "time shown", 0.001, true, () => true], ["eta", "step size", 0.001, true, () => state.gd], ["d", "inputs d", 1, false, () => true],
  ];
  const STORY_SLIDERS = [["sr", "|w(0)|", 0.01, false], ["st", "θ(0), degrees", 0.1, false], ["sa", "|a(0)| (0: = |w(0)|)", 0.01, false]];
  const BALANCE = [-4, 4], SCALE = [0.05, 4];
  const sliders = {};

  const rangeOf = (key) => (key === "balance" ? BALANCE : key === "scale" ? SCALE : key === "seed" ? [0, 1000] : key === "n" ? [0, 500] : NUMBERS[key].slice(0, 2));

  function valueOf(key) {
    if (key === "balance") return plane.name === "line" ? (state.selected < 0 ? 0 : plane.balance(...state.starts[state.selected])) : plane.on.c;
    if (key === "scale") {
      if (state.selected < 0) return 1;
      const { a, r } = plane.neuron(...state.starts[state.selected]);
      return Math.hypot(a, r);
    }
    return state[key];
  }

  function setValue(key, value, undoable) {
    if (key === "balance") return setBalance(value, undoable);
    if (key === "scale") return setScale(value, undoable);
    const [low, high] = NUMBERS[key];
    return change({ [key]: cut(WHOLE.includes(key) ? Math.round(value) : value, low, high) }, { undoable });
  }

  function setBalance(c, undoable) {
    if (Math.abs(c) < 0.02) c = 0;
    if (plane.name !== "line") {
      const crosses = (plane.on.c < 0) !== (c < 0);
      return change({ plane: c === 0 && state.plane === "balanced" ? "balanced" : "slice", c, ...(crosses ? { box: null } : {}), starts: crosses ? [] : state.starts, sign: state.sign }, { undoable });
    }
    if (state.selected < 0) return undefined;
    const [a, w] = state.starts[state.selected], size = Math.max(a * a + w * w, Math.abs(c) + 1e-9);
    const r = Math.sqrt((size - c) / 2), length = c === 0 ? r : Math.sqrt((size + c) / 2);
    return moveStart(state.selected, (a < 0 ? -1 : 1) * length, (w < 0 ? -1 : 1) * r, undoable);
  }

  function setScale(size, undoable) {
    if (state.selected < 0) return undefined;
    const [x, y] = state.starts[state.selected];
    if (plane.name === "line") {
      const factor = size / Math.max(Math.hypot(x, y), 1e-12), balanced = Math.abs(x) === Math.abs(y), w = y * factor;
      return moveStart(state.selected, balanced ? Math.sign(x) * Math.abs(w) : x * factor, w, undoable);
    }
    const first = Math.sqrt(Math.max((size * size - Math.abs(plane.on.c)) / 2, 0)); // on the same slice
    return moveStart(state.selected, plane.on.c < 0 && x < 0 ? -first : first, y, undoable);
  }

  function makeSliders() {
    for (const [key, label, step, logarithmic] of [...SLIDERS, ...STORY_SLIDERS]) {
      const [low, high] = rangeOf(key), across = (value) => (logarithmic ? Math.log(value) : value), back = (value) => (logarithmic ? Math.exp(value) : value);
      const range = node("input", { type: "range", min: across(low), max: across(high), step: logarithmic ? 0.01 : step, id: `range-${key}` });
      const number = node("input", { type: "number", step: "any", "aria-label": `${label}, typed`, id: `number-${key}` });
      let before = null;
      range.addEventListener("input", () => {
        before ??= state;
        drag = drag || { slider: true };
        setValue(key, Number(back(Number(range.value)).toPrecision(6)), false);
      });
      range.addEventListener("change", () => {
        if (before && before !== state) past.push(before);
        before = drag = null;
        refresh();
        if (["balance", "scale", "p", "q", "kp", "km"].includes(key)) announce();
      });
      number.addEventListener("change", () => {
        const value = Number(number.value);
        if (number.value !== "" && Number.isFinite(value)) setValue(key, value, true);
        showControls();
      });
      sliders[key] = { range, number, across, row: node("div", { class: "slider" }, node("label", { for: `range-${key}` }, label), range, number) };
      byId(STORY_SLIDERS.some(([name]) => name === key) ? "story-sliders" : "sliders").append(sliders[key].row);
    }
    byId("sliders").append(node("div", { class: "row" }, node("label", {}, node("input", { type: "checkbox", id: "gd", onchange: (event) => change({ gd: event.target.checked }) }), " gradient descent beside the flow")));
  }

  function showControls() {
    for (const [key, , , , shown] of SLIDERS) sliders[key].row.hidden = !shown();
    for (const [key, { range, number, across }] of Object.entries(sliders)) {
      range.value = across(valueOf(key));
      if (document.activeElement !== number) number.value = short(valueOf(key), 6);
    }
    for (const key of ["plane", "sign", "field", "init", "ssign"]) byId(key).value = state[key];
    byId("speed").value = String(state.speed);
    byId("sheet").hidden = state.plane === "line" || (state.plane === "slice" && state.c < 0);
    for (const key of ["back", "snap", "gd"]) byId(key).checked = state[key];
    byId("cells").value = state.cells;
    byId("about").textContent = plane.about + (state.n > 0 && plane.name === "line" ? ` (${state.n} samples of seed ${state.seed})` : "");
    for (const layer of LAYERS) byId(`layer-${layer}`).checked = state.layers.includes(layer);
    boxNow().forEach((value, i) => {
      const input = byId(`range${i}`);
      if (document.activeElement !== input) input.value = short(value, 6);
    });
    byId("undo").disabled = !past.length;
    byId("clear").disabled = byId("continue").disabled = !state.starts.length;
    const edges = about.edges[plane.name === "line" ? "line" : "several"];
    if (byId("edge").dataset.of !== plane.name) {
      byId("edge").dataset.of = plane.name;
      byId("edge").replaceChildren(...edges.map(({ name }, i) => node("option", { value: i }, name)));
    }
    state.edge = Math.min(state.edge, edges.length - 1);
    byId("edge").value = state.edge;
  }

  const LAYER_WORDS = { basins: "basins", equilibria: "equilibria by stability", nullclines: "nullclines", switching: "switching lines", separatrix: "separatrix", levels: "level sets of c", time: "time to learn" };

  function makeRanges() {
    ["x from", "x to", "y from", "y to"].forEach((label, i) => {
      byId("ranges").append(node("label", {}, `${label} `, node("input", { type: "number", step: "any", id: `range${i}`, onchange: (event) => {
        const box = [...boxNow()], value = Number(event.target.value);
        box[i] = value;
        if (event.target.value !== "" && isBox(box)) change({ box });
        else say("A range goes from a smaller number to a larger one, within ±1000.");
        event.target.value = short(boxNow()[i], 6);
      } })));
    });
    for (const layer of LAYERS) {
      byId("layers").append(node("label", {}, node("input", { type: "checkbox", id: `layer-${layer}`, onchange: (event) => {
        change({ layers: LAYERS.filter((name) => (name === layer ? event.target.checked : state.layers.includes(name))) });
        if (layer === "time" && event.target.checked && plane.name !== "line" && !map) toggleMap(); // where times are integrated
      } }), ` ${LAYER_WORDS[layer]}`));
    }
  }

  function showLegend() {
    const colours = theme(), sample = (item) => svgNode(["svg", { viewBox: "0 0 40 16", "aria-hidden": "true" }, ...TO_SVG[item.kind](item)]);
    const stroke = (look) => sample({ kind: "line", points: [[1, 8], [39, 8]], ...look }), fill = (colour) => sample({ kind: "polygon", points: [[1, 1], [39, 1], [39, 15], [1, 15]], fill: colour });
    const shape = (verdict) => sample({ kind: "marker", shape: PATH_SHAPES[verdict], at: [20, 8], size: 5, fill: pathColour(colours, verdict), stroke: colours.paper });
    const [x, y] = plane.axes.map((axis) => axis.replace("theta", "θ"));
    const stabilities = [...new Set(plane.equilibria(boxNow()).map((found) => found.stability))];
    const rows = [[fill(colours.learns), "learns (exact)"], [fill(colours.fails), "fails (exact)"],
      ...stabilities.map((word) => [word === "saddle" ? sample({ kind: "marker", shape: "circle", at: [20, 8], size: 5, fill: colours.saddle, stroke: colours.saddle }) : stroke({ stroke: colours[word], width: 3, dash: DASHES[word] }), `equilibria, ${word}`]),
      [stroke({ stroke: colours.separatrix, width: 3 }), "separatrix"], [stroke({ stroke: colours.nullX, width: 1.6, dash: [7, 3] }), `${x}' = 0`], [stroke({ stroke: colours.nullY, width: 1.6, dash: [2, 3] }), `${y}' = 0`],
      [shape(LEARNS), "trajectory that learns"], [shape(FAILS), "that fails"], [shape(SEPARATRIX), "on the separatrix"]];
    if (state.layers.includes("time")) {
      const n = colours.times.length, swatches = colours.times.map((fill, i) => ["rect", { x: (40 * i) / n, y: 1, width: 40 / n, height: 14, fill }]);
      rows.push([svgNode(["svg", { viewBox: "0 0 40 16", "aria-hidden": "true" }, ...swatches]), "time to learn: short to long"]);
    }
    byId("legend").replaceChildren(...rows.map(([picture, text]) => node("li", {}, picture, text)));
  }

  function showHypotheses() {
    const at = cursor || (state.selected >= 0 ? state.starts[state.selected] : null);
    if (!at) return;
    const values = plane.neuron(...at), names = plane.name === "line" ? `a = ${short(values.a)}, w = ${short(values.w)}` : `${plane.on.first} = ${short(at[0])}, θ = ${short(at[1])}: a = ${short(values.a)}, |w| = ${short(values.r)}, w₁ = ${short(values.w)}`;
    byId("cursor").textContent = `${cursor ? "Cursor" : `Start ${state.selected + 1}`}: ${names}`;
    byId("hypotheses").replaceChildren(...hypotheses(plane, ...at).map(({ name, needs, extra, says, applies }) => node("div", {},
      node("strong", {}, `${name}: ${says}`),
      node("ul", {}, ...[...needs, ...(applies ? extra : [])].map(({ text, holds }) => node("li", {}, `${holds ? "✓" : "✗"} ${text}`))))));
  }

  // --- animation

  function setClock(value, all = true) {
    clock = value;
    byId("clock").value = value === null ? 0 : value / state.t;
    byId("now").textContent = `t = ${short(value ?? 0, 4)}`;
    redrawSoon();
    if (all) showSeries();
  }

  function play() {
    if (playing) return stop();
    if (!state.starts.length) return say("Start a trajectory first.");
    if (motionless.matches) { // no motion: the end at once, and the slider for what lies between
      setClock(state.t);
      return say("Shown at the end. Motion is reduced on this device: use the time slider.");
    }
    let last = null;
    if (clock === null || clock >= state.t) clock = 0;
    const frame = (now) => {
      if (!playing) return;
      if (last !== null) clock = Math.min(clock + ((now - last) / 1000) * state.speed * (state.t / 10), state.t);
      last = now;
      setClock(clock, false);
      if (clock >= state.t) return stop();
      playing = requestAnimationFrame(frame);
    };
    playing = requestAnimationFrame(frame);
    byId("play").setAttribute("aria-pressed", "true");
    byId("play").textContent = "Pause";
    return undefined;
  }

  function stop() {
    cancelAnimationFrame(playing);
    playing = null;
    byId("play").setAttribute("aria-pressed", "false");
    byId("play").textContent = "Play";
    showSeries();
  }

  // --- zoom and pan

  function zoom(factor, at = null) {
    const [x0, x1, y0, y1] = boxNow(), [cx, cy] = at || cursor || [(x0 + x1) / 2, (y0 + y1) / 2];
    setBox([cx + (x0 - cx) * factor, cx + (x1 - cx) * factor, cy + (y0 - cy) * factor, cy + (y1 - cy) * factor]);
  }

  function setBox(box, undoable = true) {
    if (plane.name !== "line") {
      box = [plane.on.c < 0 ? box[0] : Math.max(box[0], 0), box[1], Math.max(box[2], 0), Math.min(box[3], Math.PI)];
    }
    if (isBox(box)) change({ box: box.map(tidy) }, { undoable });
  }

  // --- pointer

  function pointOf(event) {
    const frame = byId("plot").getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  function startNear([px, py], reach = 11) {
    let best = -1, nearest = reach;
    state.starts.forEach(([x, y], i) => {
      const distance = Math.hypot(view.X(x) - px, view.Y(y) - py);
      if (distance < nearest) [best, nearest] = [i, distance];
    });
    return best;
  }

  function makePointer() {
    const plot = byId("plot");
    const inside = ([px, py]) => px >= MARGIN.left && px <= view.width - MARGIN.right && py >= MARGIN.top && py <= view.height - MARGIN.bottom;
    plot.addEventListener("touchstart", (event) => {
      const touch = event.touches[0];
      if (event.touches.length === 1 && startNear(pointOf(touch), 24) >= 0) event.preventDefault();
    }, { passive: false });
    plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const at = pointOf(event), index = startNear(at, event.pointerType === "touch" ? 24 : 11);
      if (!inside(at) && index < 0) return;
      plot.focus({ preventScroll: true });
      drag = { index, at, box: boxNow(), before: state, moved: false };
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => {
      const at = pointOf(event);
      if (!drag || drag.slider) {
        if (view && inside(at)) {
          cursor = [view.toX(at[0]), view.toY(at[1])];
          hypothesesSoon();
        }
        return;
      }
      if (!drag.moved && Math.hypot(at[0] - drag.at[0], at[1] - drag.at[1]) < 4) return;
      drag.moved = true;
      if (drag.index >= 0) {
        const place = [view.toX(at[0]), view.toY(at[1])], [x, y] = state.snap ? plane.snap(...place, 5 / view.perX) : place;
        moveStart(drag.index, x, y, false);
      } else {
        const dx = (at[0] - drag.at[0]) / view.perX, dy = (at[1] - drag.at[1]) / view.perY, [x0, x1, y0, y1] = drag.box;
        setBox([x0 - dx, x1 - dx, y0 + dy, y1 + dy], false);
      }
    });
    const end = (event) => {
      if (!drag || drag.slider) return;
      const { moved, index, at, before } = drag;
      drag = null;
      if (event.type === "pointercancel") state = before;
      else if (moved) past.push(before);
      else if (index >= 0) change({ selected: index }, { undoable: false });
      else addStart(tidy(view.toX(at[0])), tidy(view.toY(at[1])));
      refresh();
      if (index >= 0) announce();
    };
    plot.addEventListener("pointerup", end);
    plot.addEventListener("pointercancel", end);
    plot.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== plot) return; // the page scrolls, unless the plane is in use
      event.preventDefault();
      const at = pointOf(event);
      zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, [view.toX(at[0]), view.toY(at[1])]);
    }, { passive: false });
    plot.addEventListener("focus", () => {
      const [x0, x1, y0, y1] = boxNow();
      cursor ??= [(x0 + x1) / 2, (y0 + y1) / 2];
      redrawSoon();
    });
    plot.addEventListener("blur", redrawSoon);
    plot.addEventListener("keydown", keyed);
  }

  let hypothesesWait = false;
  function hypothesesSoon() {
    if (hypothesesWait) return;
    hypothesesWait = true;
    requestAnimationFrame(() => {
      hypothesesWait = false;
      showHypotheses();
    });
  }

  // --- keyboard

  function keyed(event) {
    if (event.ctrlKey || event.metaKey) return;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const [x0, x1, y0, y1] = boxNow();
    const actions = {
      Enter: () => addStart(...cursor.map(tidy)), u: undo, U: undo, x: () => change({ starts: [], selected: -1 }), X: () => change({ starts: [], selected: -1 }),
      g: gridOfStarts, G: gridOfStarts, c: continued, C: continued, b: () => change({ back: !state.back }), B: () => change({ back: !state.back }), " ": play,
      "+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), 0: () => change({ box: null }), "[": () => choose(-1), "]": () => choose(1),
      Delete: () => state.selected >= 0 && removeStart(state.selected), Backspace: () => state.selected >= 0 && removeStart(state.selected),
    };
    if (arrows) {
      const share = event.shiftKey && !event.altKey ? 0.1 : 0.02, dx = arrows[0] * share * (x1 - x0), dy = arrows[1] * share * (y1 - y0);
      if (event.altKey && event.shiftKey && state.selected >= 0) {
        const [x, y] = state.starts[state.selected];
        moveStart(state.selected, tidy(x + dx), tidy(y + dy), true);
        announce();
      } else if (event.altKey) setBox([x0 + 5 * dx, x1 + 5 * dx, y0 + 5 * dy, y1 + 5 * dy]);
      else {
        cursor = [cut(cursor[0] + dx, x0, x1), cut(cursor[1] + dy, y0, y1)];
        redrawSoon();
        showHypotheses();
        say(byId("cursor").textContent);
      }
    } else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
  }

  function choose(way) {
    if (!state.starts.length) return;
    change({ selected: (state.selected + way + state.starts.length) % state.starts.length }, { undoable: false });
    announce();
  }

  function continued() {
    change({ t: Math.min(state.t * 2, NUMBERS.t[1]) });
    say(`Followed to t = ${short(state.t)}.`);
  }

  // --- the story

  const RULE_WORDS = { imp: "IMP: initial value", lrr: "LRR: trained value", sign: "sign: trained sign, initial size", magnitude: "magnitude: initial sign, trained size" };
  const TOLD = ["A dense start with several inputs.", "Dense training is over.", "Pruned: every input but the first is gone.", "Rewound: each rule restarts the survivor elsewhere.", "Trained again."];

  function storyStart() {
    const theta = (state.st / 180) * Math.PI, a = (state.ssign === "minus" ? -1 : 1) * (state.sa || state.sr);
    return { a, u: state.sr * Math.cos(theta), v: state.st === 180 || state.st === 0 ? 0 : state.sr * Math.sin(theta), theta };
  }

  function showStory() {
    const start = storyStart(), dense = denseVerdict(start), end = trained(start);
    document.querySelectorAll("[data-step]").forEach((button) => button.classList.toggle("current", Number(button.dataset.step) === state.step));
    byId("told").textContent = storyText(start, dense, end);
    const order = ["imp", "lrr", "sign", "magnitude"];
    const figures = [densePanel(start, dense)];
    if (state.step >= 2) for (const rule of order) figures.push(rulePanel(rule, start, end));
    byId("panels4").replaceChildren(...figures);
  }

  function storyText(start, dense, end) {
    const said = [`a(0) = ${short(start.a)}, w₁(0) = ${short(start.u)}, |w⊥(0)| = ${short(start.v)}.`];
    if (state.step >= 1) said.push(`Dense, it ${WORDS[dense]}: a tends to ${limitWords(end.a)}, w₁ to ${limitWords(end.w)}.`);
    if (state.step >= 2) said.push("Pruning keeps input 1, the largest weight.");
    if (state.step === 3) said.push("Now train again.");
    if (state.step >= 4) {
      const good = ["imp", "lrr", "sign", "magnitude"].filter((rule) => learnsBy(rule, start));
      said.push(good.length ? `It learns by ${good.map((rule) => (rule.length === 3 ? rule.toUpperCase() : rule)).join(", ")}.` : "It learns by no rule.");
    }
    return `${TOLD[state.step]} ${said.join(" ")}`;
  }

  const limitWords = (value) => (Math.abs(value) < 1e-50 ? (value < 0 ? "0 from below" : value > 0 ? "0 from above" : "0") : short(value));

  // A small plane (a, w_1) of the pruned neuron.
  function smallPlane(draw, label, caption) {
    const small = planeOf({ ...startingState(), plane: "line" }), of = { ...viewOf([-2.4, 2.4, -2.4, 2.4], 260, 240) }, colours = theme();
    const plain = { ...startingState(), layers: ["basins", "equilibria", "separatrix", "switching"], field: "none" };
    const items = [...background(small, plain, of, colours, null), ...curveItems(small, plain, of, colours), ...draw(of, colours)];
    const tree = ["svg", { viewBox: "0 0 260 240", role: "img", "aria-label": label },
      ["svg", { x: MARGIN.left, y: MARGIN.top, width: of.inner.w, height: of.inner.h, viewBox: `${MARGIN.left} ${MARGIN.top} ${of.inner.w} ${of.inner.h}` }, ...items.flatMap((item) => TO_SVG[item.kind](item))],
      ...axesTree({ ...small, labels: ["a", "w₁"] }, of, colours)];
    return node("figure", {}, svgNode(tree), node("figcaption", {}, ...caption));
  }

  function densePanel(start, dense) {
    const r = Math.hypot(start.u, start.v), shown = state.step >= 1;
    const c = state.sa === 0 ? 0 : (Math.abs(start.a) - r) * (Math.abs(start.a) + r);
    const on = slice(c, Math.sign(start.a) || 1), path = slicePath(on, c < 0 ? start.a : r, start.v === 0 ? (start.u > 0 ? 0 : Math.PI) : Math.atan2(start.v, start.u));
    const draw = (of, colours) => {
      const at = [of.X(start.a), of.Y(start.u)], stroke = pathColour(colours, dense);
      const line = shown ? [{ kind: "line", points: pixels(of, drawnTimes(60).map((t) => path.at(t)).map((found) => [found.a, found.w])), stroke, width: 2, dash: PATH_DASHES[dense] }] : [];
      return [...line, { kind: "marker", shape: PATH_SHAPES[dense], at, size: 5, fill: stroke, stroke: colours.paper }];
    };
    const verdict = shown ? [" ", node("span", { class: dense }, dense)] : [];
    return smallPlane(draw, `Dense training, seen in a and w₁${shown ? `: ${dense}` : ""}`, ["Dense, several inputs (shaded: one input)", ...verdict]);
  }

  function rulePanel(rule, start, end) {
    const pruned = { a: end.a, w: end.w }, restart = state.step >= 3 ? rewound(rule, start) : pruned, on = STORY_LINE;
    const path = linePath(on, restart.a, restart.w), shown = state.step >= 4;
    const draw = (of, colours) => {
      const stroke = shown ? pathColour(colours, path.verdict) : colours.ink, shape = shown ? PATH_SHAPES[path.verdict] : "circle";
      const line = shown ? [{ kind: "line", points: pixels(of, drawnTimes(60).map((t) => path.at(t)).map((found) => [found.a, found.w])), stroke, width: 2, dash: PATH_DASHES[path.verdict] }] : [];
      return [...line, { kind: "marker", shape, at: [of.X(restart.a), of.Y(restart.w)], size: 5, fill: stroke, stroke: colours.paper }];
    };
    const verdict = shown ? [" ", node("span", { class: path.verdict, "data-rule": rule }, path.verdict)] : [];
    return smallPlane(draw, `${RULE_WORDS[rule]}${shown ? `: ${path.verdict}` : ""}`, [`${RULE_WORDS[rule]}: a = ${limitWords(restart.a)}, w₁ = ${limitWords(restart.w)}`, ...verdict]);
  }

  function setStory(start, note) {
    const r = Math.hypot(start.u, start.v);
    const balanced = Math.abs(Math.abs(start.a) - r) <= BAND * r;
    change({ sr: cut(r, ...NUMBERS.sr), st: cut((Math.atan2(start.v, start.u) * 180) / Math.PI, 0, 180), ssign: start.a < 0 ? "minus" : "plus", sa: balanced ? 0 : Math.abs(start.a), step: 0 });
    byId("told").textContent = `${note} ${byId("told").textContent}`;
  }

  function storyFromPlane() {
    if (state.selected < 0 || plane.name === "line") return say("Choose a trajectory of several inputs first: pruning needs inputs to prune.");
    const [x, y] = state.starts[state.selected], { a, r } = plane.neuron(x, y);
    return setStory({ a, u: r * Math.cos(y), v: y === 0 || y === Math.PI ? 0 : r * Math.sin(y) }, "From the plane.");
  }

  // --- random starts

  function resetSample() {
    sampled = { random: generator(state.seed), n: 0, hits: Object.fromEntries(RULES.map((rule) => [rule, 0])), d: state.d, init: state.init, seed: state.seed };
    showShares();
  }

  function sampleSome(count) {
    for (let i = 0; i < count; i++) {
      const start = drawStart(sampled.init, sampled.d, sampled.random);
      for (const rule of RULES) sampled.hits[rule] += learnsBy(rule, start) ? 1 : 0;
    }
    sampled.n += count;
  }

  function showShares() {
    const exact = about.probabilities[sampled.init][sampled.d - 1];
    byId("shares").caption.textContent = `d = ${sampled.d}, ${sampled.init} starts, seed ${sampled.seed}: ${sampled.n.toLocaleString("en")} starts drawn, each decided by its exact limit`;
    byId("shares").tBodies[0].replaceChildren(...RULES.map((rule, i) => {
      const [low, high] = sampled.n ? interval(sampled.hits[rule], sampled.n) : [0, 1];
      const cells = sampled.n ? [(sampled.hits[rule] / sampled.n).toFixed(4), `${low.toFixed(4)} to ${high.toFixed(4)}`] : ["–", "–"];
      return node("tr", {}, node("th", { scope: "row" }, rule), ...cells.map((cell) => node("td", {}, cell)), node("td", {}, exact[i].toFixed(4)));
    }));
  }

  function toggleSample() {
    sampling = !sampling;
    byId("sample").setAttribute("aria-pressed", String(sampling));
    byId("sample").textContent = sampling ? "Pause" : "Run";
    const more = () => {
      if (!sampling) return;
      sampleSome(200);
      showShares();
      if (sampled.n >= 100000) return toggleSample();
      setTimeout(more, 16);
    };
    more();
  }

  // --- the map of fates

  function stopMap() {
    mapRun += 1;
    map = null;
    byId("fates").textContent = "";
    byId("map").setAttribute("aria-pressed", "false");
  }

  function toggleMap() {
    if (map) {
      stopMap();
      return redrawSoon();
    }
    const [x0, x1, y0, y1] = boxNow(), n = state.cells, run = (mapRun += 1), dx = (x1 - x0) / n, dy = (y1 - y0) / n;
    map = { cells: [], dx, dy, fastest: Infinity, slowest: 0, n };
    byId("map").setAttribute("aria-pressed", "true");
    const more = () => {
      if (run !== mapRun) return;
      const until = performance.now() + 12;
      while (map.cells.length < n * n && performance.now() < until) map.cells.push(mapCell(map.cells.length, x0, y0));
      redrawSoon();
      countFates(map.cells.length < n * n);
      if (map.cells.length < n * n) setTimeout(more, 0);
    };
    more();
    return undefined;
  }

  function mapCell(k, x0, y0) {
    const x = x0 + ((k % map.n) + 0.5) * map.dx, y = y0 + (Math.floor(k / map.n) + 0.5) * map.dy;
    const { fate: found, time } = plane.fate(x, y);
    if (time > 0) [map.fastest, map.slowest] = [Math.min(map.fastest, time), Math.max(map.slowest, time)];
    return { x, y, fate: found, time };
  }

  function countFates(busy) {
    if (!map) return;
    const edge = about.edges[plane.name === "line" ? "line" : "several"][state.edge], counts = compareFates(plane, map.cells, edge);
    byId("fates").textContent = `${busy ? "Integrating: " : ""}${counts.all} cells: ${counts.learns} learn, ${counts.fails} fail, ${counts.undecided} undecided (not at rest); `
      + `${counts.disagree} disagree with “${edge.name}”${counts.boundary ? `, ${counts.boundary} lie on its boundary, where rounding decides` : ""}.`;
  }

  // --- sharing

  function showShare() {
    const text = writeState(state);
    byId("address").value = text;
    byId("python").value = pythonOf(state, plane, paths);
    clearTimeout(showShare.timer);
    showShare.timer = setTimeout(() => {
      try {
        history.replaceState(null, "", `#${text}`);
      } catch (error) { /* in a notebook's frame there is no address to write to: the text box has it */ }
    }, 150);
  }

  async function copied(id, what) {
    const box = byId(id);
    const text = id === "address" ? location.href.split("#")[0] + (location.protocol === "about:" ? "" : `#${box.value}`) : box.value;
    try {
      await navigator.clipboard.writeText(location.protocol === "about:" ? box.value : text);
      byId("shared").textContent = `${what} copied.`;
    } catch (error) {
      box.focus();
      box.select();
      byId("shared").textContent = `${what} selected: copy it with Ctrl+C.`;
    }
  }

  function pictureSvg() {
    const of = viewOf(boxNow(), 760, 700), colours = theme();
    const clip = { x: MARGIN.left, y: MARGIN.top, width: of.inner.w, height: of.inner.h, viewBox: `${MARGIN.left} ${MARGIN.top} ${of.inner.w} ${of.inner.h}` };
    const tree = ["svg", { viewBox: "0 0 760 700", width: 760, height: 700, "font-family": "DejaVu Sans, Arial, sans-serif" },
      ["title", {}, plane.about], ["desc", {}, `#${writeState(state)}`], ["rect", { width: 760, height: 700, fill: colours.paper }],
      ["svg", clip, ...itemsOf(of).flatMap((item) => TO_SVG[item.kind](item))], ...axesTree(plane, of, colours)];
    return new XMLSerializer().serializeToString(svgNode(tree));
  }

  function save(name, type, data) {
    const url = URL.createObjectURL(data instanceof Blob ? data : new Blob([data], { type })), link = node("a", { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    byId("shared").textContent = `${name} saved.`;
  }

  function savePng() {
    const image = new Image();
    image.addEventListener("load", () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [1520, 1400];
      canvas.getContext("2d").drawImage(image, 0, 0, 1520, 1400);
      canvas.toBlob((blob) => save("neuron.png", "image/png", blob), "image/png");
    });
    image.addEventListener("error", () => { byId("shared").textContent = "The picture could not be drawn here: save it as SVG."; });
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(pictureSvg())}`;
  }

  // --- wiring

  function wire() {
    const on = (id, action, event = "click") => byId(id).addEventListener(event, action);
    on("undo", undo);
    on("clear", () => change({ starts: [], selected: -1 }));
    on("continue", continued);
    on("grid", gridOfStarts);
    on("zoom-in", () => zoom(0.8));
    on("zoom-out", () => zoom(1.25));
    on("home", () => change({ box: null }));
    on("play", play);
    on("clock", (event) => setClock(Number(event.target.value) * state.t), "input");
    on("speed", (event) => change({ speed: Number(event.target.value) }, { undoable: false }), "change");
    for (const key of ["plane", "sign", "field", "ssign"]) on(key, (event) => change(key === "ssign" ? { ssign: event.target.value, step: 0 } : { [key]: event.target.value }), "change");
    for (const key of ["back", "snap"]) on(key, (event) => change({ [key]: event.target.checked }), "change");
    on("init", (event) => { change({ init: event.target.value }); resetSample(); }, "change");
    document.querySelectorAll("[data-step]").forEach((button) => button.addEventListener("click", () => change({ step: Number(button.dataset.step) })));
    on("from-plane", storyFromPlane);
    on("draw", () => {
      if (state.d < 2) return say("Pruning needs two inputs or more: raise d.");
      change({ seed: (state.seed + 1) % 1000 });
      return setStory(drawStart(state.init, state.d, generator(state.seed)), `Drawn from the ${state.init} start, d = ${state.d}, seed ${state.seed}.`);
    });
    on("sample", () => { if (!sampling && (sampled.d !== state.d || sampled.init !== state.init || sampled.seed !== state.seed)) resetSample(); toggleSample(); });
    on("sample-reset", resetSample);
    on("map", toggleMap);
    on("cells", (event) => { const value = Number(event.target.value); if (value) change({ cells: Math.round(cut(value, ...NUMBERS.cells.slice(0, 2))) }); showControls(); }, "change");
    on("edge", (event) => { change({ edge: Number(event.target.value) }); countFates(map && map.cells.length < map.n * map.n); }, "change");
    on("link", () => copied("address", "Link"));
    on("copy", () => copied("python", "Python"));
    on("svg", () => save("neuron.svg", "image/svg+xml", pictureSvg()));
    on("png", savePng);
    on("csv", () => (paths.length ? save("neuron.csv", "text/csv", csvOf(plane, paths, state)) : say("Start a trajectory first.")));
    addEventListener("hashchange", () => { if (location.hash.slice(1) !== writeState(state)) { state = readState(location.hash); stopMap(); refresh(); } });
    new ResizeObserver(redrawSoon).observe(byId("plot"));
    darkness.addEventListener("change", () => { redrawSoon(); showAll(); });
  }

  byId("statements").append(...Object.entries(about.statements).map(([name, words]) => node("p", {}, node("strong", {}, `${name}: `), words)));
  makeSliders();
  makeRanges();
  build();
  makePointer();
  wire();
  resetSample();
  draw();
  showAll();
  if (state.selected >= 0) announce();
  return { get state() { return state; }, get plane() { return plane; }, get paths() { return paths; }, get map() { return map; }, get sampled() { return sampled; },
    change, timings, pictureSvg, draw };
}

// What a console, and the tests of this page, may call; in the browser with the running page as `app`.
globalThis.explorer = { equations, line, linePath, lineVelocity, lineLoss, lineVerdict, slice, slicePath, sliceVelocity, sliceNullcline, lineDescent,
  severalDescent, planeOf, readState, writeState, startingState, hypotheses, generator, drawStart, learnsBy, rewound, trained, denseVerdict, sampledLine,
  lineFate, sliceFate, compareFates, viewOf, facts, pythonOf, csvOf, pathPoints, RULES, NUMBERS, FATE };
if (typeof document !== "undefined") globalThis.explorer.app = startApp(facts);
