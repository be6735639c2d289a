// The planes of the page: what each shows of the flow, as data in the plane's own coordinates.

const POINTS = 161; // of a curve
const along = (low, high, count = POINTS) => Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));

function planeOf(state) {
  if (state.plane === "line") return linePlane(state);
  return slicePlane(state);
}

const lineOf = (state) => (state.n > 0 ? sampledLine(state.n, state.noise, state.seed)
  : line(state.p, state.q, state.kp, state.km));

function linePlane(state) {
  const on = lineOf(state);
  const usual = on.kPlus === 1 && on.kMinus === 0;
  return {
    name: "line", on, axes: ["a", "w"], labels: ["a, outer weight", "w, inner weight"], home: [-2, 2, -2, 2],
    about: `one input, C+ = ${short(on.p)}, C- = ${short(on.q)}` + (usual ? "" : `, k+ = ${short(on.kPlus)}, k- = ${short(on.kMinus)}`),
    field: (x, y) => lineVelocity(on, x, y),
    path: (x, y) => linePath(on, x, y),
    place: (found) => [found.a, found.w],
    values: (found) => ({ a: found.a, w: found.w }),
    neuron: (x, y) => ({ a: x, r: Math.abs(y), w: y }),
    verdict: (x, y) => lineVerdict(on, x, y),
    fate: (x, y) => lineFate(on, x, y),
    time: (x, y) => linePath(on, x, y).timeToLearn(LEARNED_BELOW),
    snap: (x, y, near) => snapLine(x, y, near),
    curves: (box) => lineCurves(on, box),
    basins: (box) => lineBasins(on, box),
    equilibria: (box) => lineEquilibria(on, box),
    descent: (x, y, step, steps) => lineDescent(on, x, y, step, steps),
    balance: (x, y) => (Math.abs(x) - Math.abs(y)) * (Math.abs(x) + Math.abs(y)),
    usual,
  };
}

// A point near |a| = |w|, or near an axis, put onto it exactly.
function snapLine(x, y, near) {
  if (Math.abs(y) < near) return [x, 0];
  if (Math.abs(x) < near) return [0, y];
  if (Math.abs(Math.abs(x) - Math.abs(y)) < near) return [Math.sign(x) * Math.abs(y), y];
  return [x, y];
}

function slicePlane(state) {
  const c = state.plane === "balanced" ? 0 : state.c;
  const on = slice(c, state.sign === "minus" ? -1 : 1);
  const sheet = c < 0 ? "" : on.sign > 0 ? ", a > 0" : ", a < 0";
  const first = on.first;
  return {
    name: state.plane, on, axes: [first, "theta"], labels: [first === "a" ? "a, outer weight" : "r, length of w", "θ, angle between w and e₁"],
    home: [c < 0 ? -2 : 0, 2, 0, Math.PI],
    about: (c === 0 ? "d > 1 inputs, balanced" : `d > 1 inputs, c = ${short(c)}`) + sheet,
    field: (x, y) => sliceVelocity(on, x, y),
    path: (x, y) => slicePath(on, x, y),
    place: (found) => [found.x, found.theta],
    values: (found) => ({ a: found.a, "w_1": found.w, "|w_perp|": found.across }),
    neuron: (x, y) => {
      const [a, r] = on.neuron(x);
      return { a, r, w: r * Math.cos(y) };
    },
    verdict: (x, y) => severalVerdict(...on.neuron(x), y),
    fate: (x, y) => sliceFate(on, x, y),
    time: (x, y) => slicePath(on, x, y).timeToLearn(LEARNED_BELOW),
    snap: (x, y, near) => [c >= 0 && x < near ? 0 : x, Math.abs(y - Math.PI / 2) < near ? Math.PI / 2 : y < near ? 0 : Math.PI - y < near ? Math.PI : y],
    curves: (box) => sliceCurves(on, box),
    basins: (box) => (sliceLearns(on) ? [[[box[0], 0], [box[1], 0], [box[1], Math.PI], [box[0], Math.PI]]] : []),
    equilibria: (box) => sliceEquilibria(on, box),
    descent: (x, y, step, steps) => {
      const [a, r] = on.neuron(x);
      return severalDescent(a, r, y, step, steps);
    },
    balance: () => c,
    usual: true,
  };
}

const sliceLearns = (on) => on.c < 0 || on.sign > 0; // everything but the ray -e_1; otherwise nothing

// --- curves of one input. A side s has the points (a, s r); S(a, r) writes them.

const onSide = (s, points) => points.map(([a, r]) => [a, s * r]);
const reachOf = (box) => Math.max(...box.map(Math.abs));

function lineCurves(on, box) {
  const reach = reachOf(box), out = [];
  for (const s of [1, -1]) {
    const { k } = on.sides[s];
    if (k === 0) continue;
    out.push({ name: "w' = 0", kind: "nullcline", points: onSide(s, [[0, 0], [0, reach]]) });
    out.push({ name: `a = ${k * s > 0 ? "-" : ""}w`, kind: "separatrix", points: onSide(s, [[0, 0], [-Math.sign(k) * reach, reach]]) });
  }
  out.push({ name: "w = 0", kind: "kink", points: [[-reach, 0], [reach, 0]] });
  out.push({ name: "a = 0", kind: "switching", points: [[0, -reach], [0, reach]] });
  return out;
}

function levelCurves(levels, reach) {
  const out = [];
  for (const c of levels) {
    if (Math.abs(c) >= reach * reach) continue;
    const small = along(-1, 1).map((x) => x * Math.sqrt(reach * reach - Math.abs(c)));
    for (const side of [1, -1]) {
      const points = small.map((x) => {
        const far = side * (c === 0 ? Math.abs(x) : Math.hypot(x, Math.sqrt(Math.abs(c))));
        return c === 0 ? [x, side * x] : c > 0 ? [far, x] : [x, far];
      });
      out.push({ name: `c = ${short(c)}`, kind: "level", points });
    }
  }
  return out;
}

// Which side of w = 0 the flow pushes away from it at (a, 0): -1, 0 or 1 for towards, along and away.
const pushes = (side, a) => (side.k === 0 ? -1 : Math.sign(side.k * a));

function lineEquilibria(on, box) {
  const reach = reachOf(box), out = [];
  for (const s of [1, -1]) {
    const { C, k } = on.sides[s];
    if (C === 0) continue; // a side without data rests everywhere
    if (k === 0) {
      out.push({ name: `a = 0, w ${s > 0 ? ">" : "<"} 0`, stability: "stable", points: onSide(s, [[0, reach / 1e3], [0, reach]]) });
      continue;
    }
    const size = Math.abs(k), low = size / reach;
    const points = along(Math.log(low), Math.log(reach)).map(Math.exp).map((r) => [k / r, r]);
    if (low < reach) out.push({ name: `target, a ${s > 0 ? "w" : "|w|"} = ${short(k)}`, stability: "stable", points: onSide(s, points), rate: -C });
  }
  for (const sign of [-1, 1]) {
    const ways = [pushes(on.sides[1], sign), pushes(on.sides[-1], sign)];
    const away = ways.filter((way) => way > 0).length;
    const stability = ["stable", "half-stable", "unstable"][away];
    out.push({ name: `w = 0, a ${sign < 0 ? "<" : ">"} 0`, stability, points: [[(sign * reach) / 1e3, 0], [sign * reach, 0]] });
  }
  out.push({ name: "origin", stability: "saddle", points: [[0, 0]] });
  return out;
}

function lineBasins(on, box) {
  const reach = 2 * reachOf(box), s = Math.sign(on.kPlus), out = [];
  if (s !== 0 && on.p > 0) out.push([[0, 0], [-s * reach, reach], [s * reach, reach], [s * reach, 0]]);
  // from below through w = 0: |a| > |w|, a against the fit below and with the fit above
  if (s !== 0 && on.kMinus * s < 0 && on.q > 0) out.push([[0, 0], [s * reach, 0], [s * reach, -reach]]);
  return out;
}

// --- curves of several inputs

function sliceCurves(on, box) {
  const [x0, x1] = box, low = on.c < 0 ? x0 : 0, across = (theta) => [[low, theta], [x1, theta]];
  const out = [
    { name: "θ' = 0", kind: "nullcline", points: across(0) },
    { name: "θ' = 0", kind: "nullcline", points: across(Math.PI) },
  ];
  if (sliceLearns(on)) {
    out.push({ name: `${on.first}' = 0`, kind: "nullcline", points: along(0, Math.PI).map((theta) => [sliceNullcline(on, theta), theta]) });
  }
  if (on.c < 0) {
    out.push({ name: "θ' = 0", kind: "nullcline", points: [[0, 0], [0, Math.PI]] });
    out.push({ name: "a = 0", kind: "switching", points: [[0, 0], [0, Math.PI]] });
  }
  out.push({ name: "w_1 = 0", kind: "switching", points: across(Math.PI / 2) });
  out.push({ name: "θ = 0", kind: "invariant", points: across(0) });
  out.push({ name: "θ = π", kind: sliceLearns(on) ? "separatrix" : "invariant", points: across(Math.PI) });
  return out;
}

function sliceEquilibria(on) {
  const out = [];
  if (sliceLearns(on)) out.push({ name: "target, a r = 1", stability: "stable", points: [[sliceNullcline(on, 0), 0]] });
  const corner = on.sign > 0 ? "saddle" : "stable";
  if (on.c < 0) out.push({ name: "a = 0, w on -e₁", stability: "saddle", points: [[0, Math.PI]] });
  else if (on.c === 0) {
    out.push({ name: "origin along e₁", stability: "saddle", points: [[0, 0]] });
    out.push({ name: "origin along -e₁", stability: corner, points: [[0, Math.PI]] });
  } else {
    out.push({ name: "w = 0", stability: on.sign > 0 ? "unstable" : "stable", points: [[0, 0], [0, Math.PI]] });
    out.push({ name: "w = 0 along -e₁", stability: corner, points: [[0, Math.PI]] });
  }
  return out;
}

// --- which hypotheses hold at a point, with the numbers

function hypotheses(plane, x, y) {
  const { a, r, w } = plane.neuron(x, y), gap = Math.abs(a) - r;
  const balanced = r > 0 && Math.abs(gap) <= BAND * r;
  const isBalanced = { text: `balanced, |a| = |w|: |a| - |w| = ${short(gap)}`, holds: balanced };
  const positive = { text: `a > 0: a = ${short(a)}`, holds: a > 0 };
  const right = { text: `${plane.name === "line" ? "w" : "w₁"} > 0: ${short(w)}`, holds: w > 0 };
  const conclude = (name, needs, extra, learns, fails) => {
    const applies = needs.every((need) => need.holds);
    const says = !applies ? "does not apply here" : extra.every((need) => need.holds) ? learns : fails;
    return { name, needs, extra, applies, says };
  };
  if (plane.name === "line") {
    const target = { text: `target relu(x): k+ = ${short(plane.on.kPlus)}, k- = ${short(plane.on.kMinus)}`, holds: plane.usual };
    const edge = { text: `a > -w: a + w = ${short(a + w)}`, holds: a > -w && !(a < 0 && balanced) };
    return [
      conclude("Theorem 2.1", [{ text: "one input", holds: true }, target, isBalanced], [positive, right], "it learns", "it fails"),
      conclude("Basin, any balance", [target, { text: `w not 0: w = ${short(w)}`, holds: w !== 0 }], [right, edge], "it learns", "it fails"),
      { name: "Lemma 2.2, Theorem 2.3", needs: [{ text: "several inputs", holds: false }], extra: [], applies: false, says: "do not apply here: one input" },
    ];
  }
  const off = { text: `off the ray -e₁: π - θ = ${short(Math.PI - y)}`, holds: Math.PI - y > 0 && r > 0 };
  const several = { text: "several inputs", holds: true };
  const edge = { text: `a > -|w|: a + |w| = ${short(a + r)}`, holds: a > -r && !(a < 0 && balanced) };
  const isotropic = { text: "trained to the limit, pruned to input 1", holds: true };
  return [
    { name: "Theorem 2.1", needs: [{ text: "one input", holds: false }], extra: [], applies: false, says: "does not apply here: several inputs" },
    conclude("Lemma 2.2", [several, isBalanced, off], [positive], "it learns", "it fails"),
    conclude("Theorem 2.3, IMP", [several, isBalanced, isotropic], [positive, right], "IMP learns", "IMP fails"),
    conclude("Theorem 2.3, LRR", [several, isBalanced, isotropic], [positive, off], "LRR learns", "LRR fails"),
    conclude("Basin, any balance", [several, off], [edge], "it learns", "it fails"),
  ];
}

// --- numbers as text: as many digits as the computation is good for

function short(value, digits = 4) {
  if (!Number.isFinite(value)) return value === Infinity ? "∞" : value === -Infinity ? "-∞" : "none";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(digits)));
  return value.toExponential(Math.max(digits - 2, 0)).replace("e+", "e");
}
