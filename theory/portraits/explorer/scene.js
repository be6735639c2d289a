// From a plane and a state to a picture: a list of shapes in pixels, painted on a canvas or written as SVG.

const THEMES = {
  light: {
    paper: "#ffffff", ink: "#222222", muted: "#6a6a6a", faint: "#b9b9b9", learns: "#fff3b0", fails: "#f2b8a0", undecided: "#cfcfcf",
    nullX: "#0072b2", nullY: "#8e4a86", separatrix: "#b03a00", level: "#3d8fb8", field: "#8a8a8a",
    stable: "#111111", "half-stable": "#8a5a00", saddle: "#b03a00", unstable: "#b03a00",
    pathLearns: "#00664b", pathFails: "#8c1d40", pathEdge: "#4b3f9e", descent: "#555555", select: "#005a9c",
    times: ["#ffffd9", "#c7e9b4", "#7fcdbb", "#41b6c4", "#3b93c3"],
  },
  dark: {
    paper: "#16181b", ink: "#e8e8e8", muted: "#a3a3a3", faint: "#565b61", learns: "#3f3a16", fails: "#4a2318", undecided: "#3d3f43",
    nullX: "#5cb8f0", nullY: "#d79ad0", separatrix: "#ff9d6b", level: "#5aa9cf", field: "#7e858c",
    stable: "#ffffff", "half-stable": "#f0c060", saddle: "#ff9d6b", unstable: "#ff9d6b",
    pathLearns: "#4fd6a8", pathFails: "#ff8fae", pathEdge: "#b3a8ff", descent: "#c8c8c8", select: "#8cc7ff",
    times: ["#31430f", "#1f5a48", "#1d6a72", "#2a6f9b", "#3c69b5"],
  },
};
const MARGIN = { left: 54, right: 12, top: 14, bottom: 46 };
const DASHES = { stable: [], "half-stable": [8, 2, 2, 2], unstable: [5, 4], saddle: [8, 2, 2, 2] };

function viewOf(box, width, height) {
  const [x0, x1, y0, y1] = box, inner = { w: width - MARGIN.left - MARGIN.right, h: height - MARGIN.top - MARGIN.bottom };
  return {
    box, width, height, inner,
    X: (x) => MARGIN.left + ((x - x0) / (x1 - x0)) * inner.w,
    Y: (y) => MARGIN.top + ((y1 - y) / (y1 - y0)) * inner.h,
    toX: (px) => x0 + ((px - MARGIN.left) / inner.w) * (x1 - x0),
    toY: (py) => y1 - ((py - MARGIN.top) / inner.h) * (y1 - y0),
    perX: inner.w / (x1 - x0), perY: inner.h / (y1 - y0),
  };
}

const pixels = (view, points) => points.map(([x, y]) => [view.X(x), view.Y(y)]);

function background(plane, state, view, theme, map) {
  const items = [], [x0, x1, y0, y1] = view.box;
  const frame = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
  if (state.layers.includes("basins")) {
    items.push({ kind: "polygon", points: pixels(view, frame), fill: theme.fails });
    for (const basin of plane.basins(view.box)) items.push({ kind: "polygon", points: pixels(view, basin), fill: theme.learns });
  }
  if (map) items.push({ kind: "cells", cells: mapCells(map, view, theme, state.layers.includes("time")) });
  else if (state.layers.includes("time") && plane.name === "line") items.push({ kind: "cells", cells: timeCells(plane, view, theme) });
  return items;
}

function mapCells(map, view, theme, timed) {
  const low = Math.log(Math.max(map.fastest, 1e-3)), high = Math.log(Math.max(map.slowest, 1e-2));
  return map.cells.filter(Boolean).map((cell) => ({
    x: view.X(cell.x - map.dx / 2), y: view.Y(cell.y + map.dy / 2), w: map.dx * view.perX, h: map.dy * view.perY,
    fill: cell.fate === FATE.undecided ? theme.undecided : cell.fate === FATE.fails ? theme.fails
      : timed ? timeColour(theme, cell.time, low, high) : theme.learns,
    cross: cell.fate === FATE.undecided,
  }));
}

const timeColour = (theme, time, low, high) => {
  const share = high > low ? (Math.log(Math.max(time, 1e-9)) - low) / (high - low) : 0;
  return theme.times[Math.round(cut(share, 0, 1) * (theme.times.length - 1))];
};

function timeCells(plane, view, theme) {
  const n = 64, [x0, x1, y0, y1] = view.box, dx = (x1 - x0) / n, dy = (y1 - y0) / n, found = [];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const x = x0 + (i + 0.5) * dx, y = y0 + (j + 0.5) * dy, time = plane.time(x, y);
      if (time >= 0) found.push({ x, y, time });
    }
  }
  const low = Math.log(0.5 / plane.on.p), high = Math.log(20 / plane.on.p);
  return found.map(({ x, y, time }) => ({
    x: view.X(x - dx / 2), y: view.Y(y + dy / 2), w: dx * view.perX + 0.5, h: dy * view.perY + 0.5, fill: timeColour(theme, time, low, high),
  }));
}

function fieldItems(plane, state, view, theme) {
  if (state.field === "arrows") return [{ kind: "arrows", arrows: arrowsOf(plane, view), stroke: theme.field, width: 1.1 }];
  if (state.field === "streams") {
    return streamsOf(plane, view).map((points) => ({ kind: "line", points, stroke: theme.field, width: 1, head: true }));
  }
  return [];
}

function direction(plane, view, x, y) {
  const [vx, vy] = plane.field(x, y), px = vx * view.perX, py = -vy * view.perY, size = Math.hypot(px, py);
  return size > 0 ? [px / size, py / size, size] : null; // null where it rests, and where the angle has no speed
}

function arrowsOf(plane, view) {
  const n = 15, out = [], { w, h } = view.inner, length = Math.min(w, h) / n / 2.6;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const px = MARGIN.left + ((i + 0.5) * w) / n, py = MARGIN.top + ((j + 0.5) * h) / n;
      const way = direction(plane, view, view.toX(px), view.toY(py));
      if (way) out.push([px - way[0] * length, py - way[1] * length, px + way[0] * length, py + way[1] * length]);
    }
  }
  return out;
}

// Streamlines that keep a distance: each starts in an empty cell and ends where it meets another one, an edge or a kink.
function streamsOf(plane, view) {
  const n = 22, { w, h } = view.inner, taken = new Uint8Array(n * n), out = [], step = Math.min(w, h) / 90;
  const cell = (px, py) => {
    const i = Math.floor(((px - MARGIN.left) / w) * n), j = Math.floor(((py - MARGIN.top) / h) * n);
    return i < 0 || j < 0 || i >= n || j >= n ? -1 : j * n + i;
  };
  const walk = (px, py, sign, own) => {
    const points = [], side = plane.name === "line" ? Math.sign(view.toY(py)) : 0;
    let before = null;
    for (let k = 0; k < 400; k++) {
      const first = direction(plane, view, view.toX(px), view.toY(py));
      if (!first || first[2] < 1e-7) break;
      const mx = px + (sign * first[0] * step) / 2, my = py + (sign * first[1] * step) / 2;
      const way = direction(plane, view, view.toX(mx), view.toY(my));
      // a step that turns round has jumped over a curve that attracts
      if (!way || first[0] * way[0] + first[1] * way[1] < 0 || (before && before[0] * way[0] + before[1] * way[1] < 0)) break;
      before = way;
      px += sign * way[0] * step;
      py += sign * way[1] * step;
      const here = cell(px, py);
      if (here < 0 || (taken[here] && !own.has(here)) || (side && Math.sign(view.toY(py)) !== side)) break;
      own.add(here);
      points.push([px, py]);
    }
    return points;
  };
  for (let s = 0; s < n * n; s++) {
    const at = (s * 97) % (n * n); // scattered, and every cell once
    if (taken[at]) continue;
    const px = MARGIN.left + (((at % n) + 0.5) * w) / n, py = MARGIN.top + ((Math.floor(at / n) + 0.5) * h) / n, own = new Set([at]);
    const points = [...walk(px, py, -1, own).reverse(), [px, py], ...walk(px, py, 1, own)];
    if (points.length < 12) continue;
    own.forEach((index) => { taken[index] = 1; });
    out.push(points);
  }
  return out;
}

function curveItems(plane, state, view, theme) {
  const items = [], has = (layer) => state.layers.includes(layer);
  const looks = {
    switching: { layer: "switching", stroke: theme.muted, width: 1 }, kink: { layer: "switching", stroke: theme.muted, width: 1 },
    separatrix: { layer: "separatrix", stroke: theme.separatrix, width: 3 },
    level: { layer: "levels", stroke: theme.level, width: 1 },
  };
  const reach = reachOf(view.box), curves = plane.curves(view.box);
  const levels = plane.name === "line" && has("levels") ? levelCurves([-0.5, -0.25, 0, 0.25, 0.5].map((share) => share * reach * reach), 2 * reach) : [];
  for (const curve of [...levels, ...curves]) {
    const nullcline = curve.kind === "nullcline" && { layer: "nullclines", width: 1.6,
      stroke: curve.name.startsWith(plane.axes[0]) ? theme.nullX : theme.nullY, dash: curve.name.startsWith(plane.axes[0]) ? [7, 3] : [2, 3] };
    const look = nullcline || looks[curve.kind];
    if (look && has(look.layer)) items.push({ kind: "line", points: pixels(view, curve.points), ...look });
  }
  if (has("equilibria")) {
    for (const found of plane.equilibria(view.box)) {
      const points = pixels(view, found.points), stroke = theme[found.stability];
      if (points.length === 1) items.push({ kind: "marker", shape: "circle", at: points[0], size: 5.5, half: found.stability === "saddle", fill: found.stability === "unstable" ? theme.paper : stroke, stroke, paper: theme.paper });
      else items.push({ kind: "line", points, stroke, width: 3.2, dash: DASHES[found.stability] });
    }
  }
  return items;
}

const pathColour = (theme, verdict) => ({ [LEARNS]: theme.pathLearns, [FAILS]: theme.pathFails, [SEPARATRIX]: theme.pathEdge })[verdict];
const PATH_DASHES = { [LEARNS]: [], [FAILS]: [9, 4], [SEPARATRIX]: [2, 3] };
const PATH_SHAPES = { [LEARNS]: "circle", [FAILS]: "square", [SEPARATRIX]: "triangle" };

// Times at which a path is drawn: dense where it is fast, whatever the horizon.
const drawnTimes = (horizon, count = 160) => Array.from({ length: count + 1 }, (_, i) => horizon * (i / count) ** 3);

function pathPoints(plane, path, state) {
  if (path.ahead) {
    const place = ([x, psi]) => [x, Math.PI - Math.min(psi, Math.PI)];
    const behind = path.earliest < 0 ? path.behind.sketch(-path.earliest).slice(1).reverse() : [];
    return [...behind, ...path.ahead.sketch(state.t)].map(place);
  }
  const behind = path.earliest < 0 ? drawnTimes(-path.earliest).slice(1).reverse().map((t) => -t) : [];
  return [...behind, ...drawnTimes(state.t)].map((t) => plane.place(path.at(t)));
}

// How far back a path is followed: to the time shown, to its own beginning, or to where it leaves all view.
function earliestOf(plane, path, state) {
  const reach = 4 * Math.max(reachOf(plane.home), Math.hypot(...plane.place(path.at(0))));
  const inside = (t) => plane.place(path.at(-t)).every((x) => Math.abs(x) < reach);
  let low = 0, high = Math.min(state.t, -path.from * 0.999999);
  if (inside(high)) return -high;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (inside(middle)) low = middle; else high = middle;
  }
  return -low;
}

function pathItems(plane, state, view, theme, paths, clock) {
  const items = [];
  paths.forEach((path, i) => {
    const stroke = pathColour(theme, path.verdict), chosen = i === state.selected;
    items.push({ kind: "line", points: pixels(view, path.drawn), stroke, width: chosen ? 2.8 : 1.8, dash: PATH_DASHES[path.verdict] });
    if (path.descent) {
      const points = pixels(view, path.descent);
      items.push({ kind: "line", points, stroke: theme.descent, width: 1, dash: [1, 2] });
      for (const at of points.slice(0, 60)) items.push({ kind: "marker", shape: "circle", at, size: 2, fill: theme.descent, stroke: theme.descent });
    }
    const at = [view.X(state.starts[i][0]), view.Y(state.starts[i][1])];
    items.push({ kind: "marker", shape: PATH_SHAPES[path.verdict], at, size: chosen ? 6 : 4.5, fill: stroke, stroke: chosen ? theme.select : theme.paper });
    if (clock !== null) {
      const [x, y] = plane.place(path.at(clock));
      items.push({ kind: "marker", shape: PATH_SHAPES[path.verdict], at: [view.X(x), view.Y(y)], size: 5, fill: theme.paper, stroke });
    }
  });
  return items;
}

// --- painting

function trace(context, points) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
}

function arrowHead([x0, y0], [x1, y1], size) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  return [-2.6, 2.6].map((turn) => [x1 + size * Math.cos(angle + turn), y1 + size * Math.sin(angle + turn)]);
}

// The corners of a marker that is no circle.
const corners = (shape, [x, y], size) => (shape === "square"
  ? [[x - size, y - size], [x + size, y - size], [x + size, y + size], [x - size, y + size]]
  : [[x, y - 1.3 * size], [x + 1.2 * size, y + size], [x - 1.2 * size, y + size]]);

const PAINT = {
  polygon(context, { points, fill }) {
    trace(context, points);
    context.fillStyle = fill;
    context.fill();
  },
  cells(context, { cells }) {
    for (const { x, y, w, h, fill, cross } of cells) {
      context.fillStyle = fill;
      context.fillRect(x, y, w, h);
      if (cross) context.strokeStyle = "#888888", context.strokeRect(x + w / 4, y + h / 4, w / 2, h / 2);
    }
  },
  line(context, { points, stroke, width, dash = [], head }) {
    trace(context, points);
    context.strokeStyle = stroke;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.stroke();
    context.setLineDash([]);
    if (head) {
      const middle = Math.floor(points.length / 2), [one, other] = arrowHead(points[middle - 1], points[middle], 6);
      PAINT.polygon(context, { points: [points[middle], one, other], fill: stroke });
    }
  },
  arrows(context, { arrows, stroke, width }) {
    context.beginPath();
    for (const [x0, y0, x1, y1] of arrows) {
      const [one, other] = arrowHead([x0, y0], [x1, y1], 5);
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
      context.moveTo(...one);
      context.lineTo(x1, y1);
      context.lineTo(...other);
    }
    context.strokeStyle = stroke;
    context.lineWidth = width;
    context.stroke();
  },
  marker(context, { shape, at, size, fill, stroke, half, paper }) {
    context.beginPath();
    if (shape === "circle") context.arc(at[0], at[1], size, 0, 2 * Math.PI);
    else {
      trace(context, corners(shape, at, size));
      context.closePath();
    }
    context.fillStyle = fill;
    context.fill();
    context.strokeStyle = stroke;
    context.lineWidth = 1.5;
    context.stroke();
    if (half) {
      context.beginPath();
      context.arc(at[0], at[1], size - 1, -Math.PI / 2, Math.PI / 2);
      context.fillStyle = paper;
      context.fill();
    }
  },
};

function paint(context, items, view) {
  context.save();
  context.beginPath();
  context.rect(MARGIN.left, MARGIN.top, view.inner.w, view.inner.h);
  context.clip();
  for (const item of items) PAINT[item.kind](context, item);
  context.restore();
}

// --- SVG: a tree of [tag, attributes, ...children], for the page's axes and for export

const coordinates = (points) => points.filter(([x, y]) => Math.abs(x) < 1e5 && Math.abs(y) < 1e5).map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join(" ");

const TO_SVG = {
  polygon: ({ points, fill }) => [["polygon", { points: coordinates(points), fill }]],
  cells: ({ cells }) => cells.map(({ x, y, w, h, fill }) => ["rect", { x: x.toFixed(2), y: y.toFixed(2), width: w.toFixed(2), height: h.toFixed(2), fill }]),
  line: ({ points, stroke, width, dash = [] }) => [["polyline", { points: coordinates(points), fill: "none", stroke, "stroke-width": width, "stroke-dasharray": dash.join(" ") || "none" }]],
  arrows: ({ arrows, stroke, width }) => [["path", { d: arrows.map(([x0, y0, x1, y1]) => {
    const [one, other] = arrowHead([x0, y0], [x1, y1], 5);
    return `M${coordinates([[x0, y0]])}L${coordinates([[x1, y1]])}M${coordinates([one])}L${coordinates([[x1, y1]])}L${coordinates([other])}`;
  }).join(""), fill: "none", stroke, "stroke-width": width }]],
  marker: ({ shape, at, size, fill, stroke }) => [shape === "circle"
    ? ["circle", { cx: at[0].toFixed(2), cy: at[1].toFixed(2), r: size, fill, stroke, "stroke-width": 1.5 }]
    : ["polygon", { points: coordinates(corners(shape, at, size)), fill, stroke, "stroke-width": 1.5 }]],
};

function ticksOf(low, high, isAngle) {
  if (isAngle && high - low > 1) {
    const names = ["0", "π/4", "π/2", "3π/4", "π"];
    return names.map((text, i) => ({ at: (i * Math.PI) / 4, text })).filter(({ at }) => at >= low - 1e-9 && at <= high + 1e-9);
  }
  const raw = (high - low) / 6, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= raw), out = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) {
    out.push({ at: k * step, text: String(Number((k * step).toPrecision(10))).replace("-", "−") });
  }
  return out;
}

function axesTree(plane, view, theme) {
  const [x0, x1, y0, y1] = view.box, bottom = view.height - MARGIN.bottom, right = view.width - MARGIN.right;
  const text = (x, y, content, more = {}) => ["text", { x, y, fill: theme.ink, "font-size": 13, "text-anchor": "middle", ...more }, content];
  const tree = [["rect", { x: MARGIN.left, y: MARGIN.top, width: view.inner.w, height: view.inner.h, fill: "none", stroke: theme.muted }]];
  for (const { at, text: label } of ticksOf(x0, x1, false)) {
    tree.push(["line", { x1: view.X(at), x2: view.X(at), y1: bottom, y2: bottom + 5, stroke: theme.muted }], text(view.X(at), bottom + 19, label));
  }
  for (const { at, text: label } of ticksOf(y0, y1, plane.axes[1] === "theta")) {
    tree.push(["line", { x1: MARGIN.left - 5, x2: MARGIN.left, y1: view.Y(at), y2: view.Y(at), stroke: theme.muted }],
      text(MARGIN.left - 8, view.Y(at) + 4, label, { "text-anchor": "end" }));
  }
  const middle = (MARGIN.top + bottom) / 2;
  tree.push(text((MARGIN.left + right) / 2, view.height - 8, plane.labels[0]));
  tree.push(text(14, middle, plane.labels[1], { transform: `rotate(-90 14 ${middle})` }));
  return tree;
}
