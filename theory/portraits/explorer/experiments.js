// Random starts, pruning and rewinding, and the map of fates: pure functions of numbers and of a seeded generator.

// A generator of 32-bit words (sfc32): the same seed gives the same starts in every browser.
function generator(seed) {
  let a = 0x9e3779b9, b = 0x243f6a88, c = 0xb7e15162, d = (seed >>> 0) ^ 0xdeadbeef;
  const word = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 15; i++) word();
  const uniform = () => ((word() >>> 5) * 67108864 + (word() >>> 6)) / 9007199254740992;
  let kept = null;
  const normal = () => {
    if (kept !== null) {
      const value = kept;
      kept = null;
      return value;
    }
    const size = Math.sqrt(-2 * Math.log(1 - uniform())), angle = 2 * Math.PI * uniform();
    kept = size * Math.sin(angle);
    return size * Math.cos(angle);
  };
  return { uniform, normal };
}

// A start of d inputs, w_i ~ N(0, 1/d): a, u = w_1 and v = |w_perp|, which is all that its flow depends on.
function drawStart(init, d, random) {
  const scale = 1 / Math.sqrt(d);
  const first = random.normal(), u = first * scale;
  let squares = 0;
  for (let i = 1; i < d; i++) squares += random.normal() ** 2;
  const v = Math.sqrt(squares) * scale, r = Math.hypot(u, v);
  const a = init === "balanced" ? (random.uniform() < 0.5 ? -r : r)
    : init === "bounded" ? (2 * random.uniform() - 1) * r
      : random.normal() * scale;
  return { a, u, v };
}

const RULES = facts.rules;

const STORY_LINE = line(0.5, 0.5); // what is left of N(0, I_d) when all inputs but the first are pruned

const lineVerdict = (on, a, w) => linePath(on, a, w).verdict;

// The verdict of a dense start.
function denseVerdict({ a, u, v }) {
  if (v === 0) return lineVerdict(STORY_LINE, a, u) === LEARNS ? LEARNS : FAILS;
  return severalVerdict(a, Math.hypot(u, v), Math.atan2(v, u));
}

// Where the dense run ends, with the last sign of what dies: theory.pruning.trained.
function trained(start) {
  const { a, u, v } = start, r = Math.hypot(u, v);
  const c = (Math.abs(a) - r) * (Math.abs(a) + r);
  if (v === 0) {
    const { limit } = linePath(STORY_LINE, a, u);
    return { a: limit.a || faint(a), w: limit.w || faint(u < 0 ? -1 : limit.a === 0 ? Math.sign(u) : 0) };
  }
  const balanced = Math.abs(Math.abs(a) - r) <= BAND * r;
  const limit = severalLimit(slice(balanced ? 0 : c, Math.sign(a) || 1), a, r, Math.atan2(v, u));
  return { a: limit.a || faint(a), w: limit.w || faint(-1) };
}

const faint = (sign) => Math.sign(sign) * 1e-60; // a dying weight is not 0 at any finite time

// (initial, trained) -> the value at which a surviving weight restarts: theory.pruning.REWINDS
const REWINDS = {
  imp: (initial) => initial,
  sign: (initial, final) => (final === 0 ? initial : Math.abs(initial) * Math.sign(final)),
  magnitude: (initial, final) => Math.abs(final) * (Math.sign(initial) || 1),
  lrr: (initial, final) => final,
};

// The masked start that a rule makes after the dense run, pruned to input 1.
function rewound(rule, start) {
  const end = trained(start);
  return { a: REWINDS[rule](start.a, end.a), w: REWINDS[rule](start.u, end.w) };
}

function learnsBy(rule, start) {
  if (rule === "dense") return denseVerdict(start) === LEARNS;
  const { a, w } = rewound(rule, start);
  return lineVerdict(STORY_LINE, a, w) === LEARNS;
}

// Wilson's 95 % interval of a share.
function interval(successes, trials) {
  const z = 1.959963984540054, n = trials, p = successes / n;
  const middle = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

// A noisy sample of one input is a line of its own: x ~ N(0, 1), y = relu(x) + noise N(0, 1).
function sampledLine(n, noise, seed) {
  const random = generator(seed), sums = { 1: [0, 0], "-1": [0, 0] };
  for (let i = 0; i < n; i++) {
    const x = random.normal(), y = Math.max(x, 0) + noise * random.normal();
    const side = sums[x > 0 ? 1 : -1];
    side[0] += x * x;
    side[1] += Math.abs(x) * y;
  }
  const fit = ([square, product]) => (square > 0 ? product / square : 0);
  return line(sums[1][0] / n, sums[-1][0] / n, fit(sums[1]), noise === 0 ? 0 : fit(sums[-1]));
}

// --- the map of fates: every start of a grid is integrated until it rests, and nothing else decides

const FATE = { undecided: -1, fails: 0, learns: 1 };
const RESTS_BELOW = 1e-6; // the speed of (a, w)
const SPEED_ROUNDED = 1e-12; // below it the speed is that of rounding
const LEARNED_BELOW = 1e-6; // the loss, above that of the best fit
const MAP_STEPS = 1500, MAP_TIME = 1e7;

// Follow `flow` = {f, y0, scale, allowed, loss, speed, leaves, kink, cross} to its rest. It rests where its speed is
// small, has fallen on by a tenth at twice that time, and does not lead away from the ray -e_1: what leaves a saddle or
// creeps along a slow manifold does not rest.
function fate(flow) {
  let run = follower({ ...flow, mostSteps: MAP_STEPS }), began = 0, steps = 0, slow = null;
  for (;;) {
    const before = run.last;
    if (steps++ > MAP_STEPS || began + before > MAP_TIME) return { fate: FATE.undecided, time: NaN };
    run.until(before + 1e-12 * (1 + before));
    if (run.last === before) return { fate: FATE.undecided, time: NaN };
    const y = run.ys[run.ys.length - 1];
    if (flow.kink && flow.kink(y) < 0) { // land on the line, and go on from there with the other side's flow
      const t = landing(run, before, run.last, flow.kink);
      const next = flow.cross(run.at(t));
      if (next === null) return { fate: FATE.fails, time: NaN };
      began += t;
      run = follower({ ...next, mostSteps: MAP_STEPS });
      flow = next;
      slow = null;
      continue;
    }
    if (flow.loss(y) <= LEARNED_BELOW) {
      const t = landing(run, before, run.last, (state) => flow.loss(state) - LEARNED_BELOW);
      return { fate: FATE.learns, time: began + t };
    }
    const speed = flow.speed(y), now = began + run.last;
    if (slow === null && speed < RESTS_BELOW) slow = { until: 2 * now + 100, speed };
    if (slow !== null && now >= slow.until) {
      const falls = speed <= Math.max(0.9 * slow.speed, SPEED_ROUNDED);
      if (falls && !(flow.leaves && flow.leaves(y))) return { fate: FATE.fails, time: NaN };
      slow = null;
    }
  }
}

function lineFate(on, a0, w0) {
  const floor = (on.q * on.kMinus ** 2) / 2; // the loss of the best fit on w > 0
  const crosses = (s) => on.sides[s].k !== 0; // where the fit is 0, w' = 0 on w = 0
  const flowOn = (s, a, r) => ({
    f: ([x, y]) => sideVelocity(on.sides[s], x, y),
    y0: [a, r],
    scale: (y, z) => [0, 1].map((i) => 1e-9 * (Math.abs(y[i]) + Math.abs(z[i])) + (crosses(s) ? 1e-12 : TINY)),
    allowed: (z) => crosses(s) || z[1] > 0,
    loss: ([x, y]) => lineLoss(on, x, s * y) - floor + (s > 0 ? 0 : 1),
    speed: ([x, y]) => Math.hypot(...sideVelocity(on.sides[s], x, y)),
    kink: crosses(s) ? ([, y]) => y : null,
    cross: ([x]) => (on.sides[-s].C * on.sides[-s].k * x > 0 ? flowOn(-s, x, 0) : null),
  });
  if (w0 === 0) return { fate: FATE.fails, time: NaN };
  return fate(flowOn(w0 > 0 ? 1 : -1, a0, Math.abs(w0)));
}

function sliceFate(on, x0, theta0) {
  const [, r0] = on.neuron(x0), psi0 = Math.PI - theta0;
  if (r0 === 0 || psi0 === 0) return { fate: FATE.fails, time: NaN }; // at rest, or on the ray, which is invariant
  const velocity = ([x, psi]) => {
    const [a, r] = on.neuron(x);
    return polarVelocity(a, r, psi);
  };
  return fate({
    f: (y) => {
      const [da, dr, dpsi] = velocity(y);
      return [on.c < 0 ? da : dr, dpsi];
    },
    y0: [x0, psi0],
    scale: (y, z) => [1e-8 * (Math.abs(y[0]) + (on.c < 0 ? 0.1 * Math.sqrt(-on.c) : 0)) + TINY, 1e-8 * Math.max(y[1], z[1])],
    allowed: (z) => (on.c < 0 || z[0] > 0) && z[1] > 0 && z[1] < Math.PI + 1e-12,
    loss: ([x, psi]) => {
      const [a, r] = on.neuron(x);
      return polarLoss(a, r, psi);
    },
    speed: (y) => {
      const [da, dr, dpsi] = velocity(y);
      return Math.hypot(da, dr, on.neuron(y[0])[1] * dpsi);
    },
    // where a is 0 up to the error of a step, the sign of psi' is not known
    leaves: (y) => velocity(y)[2] > 0 || (on.c < 0 && Math.abs(y[0]) < 1e-7),
  });
}

// How an edge, the theorem's or a false one, judges a start: it learns iff a > -edge |w|, on the sides that it admits.
function edgeVerdict(plane, edge, x, y) {
  if (!edge.claim) return plane.verdict(x, y);
  const { a, r, w } = plane.neuron(x, y);
  if (plane.name === "line") return edge.claim.sides.includes(Math.sign(w)) && a > -edge.claim.edge * r ? LEARNS : FAILS;
  return (!edge.claim.off_ray || Math.PI - y > 0) && r > 0 && a > -edge.claim.edge * r ? LEARNS : FAILS;
}

// What integration found against what an edge says. Undecided cells, and those on the separatrix, count by themselves.
function compareFates(plane, cells, edge) {
  const counts = { all: cells.length, learns: 0, fails: 0, undecided: 0, boundary: 0, disagree: 0 };
  for (const { x, y, fate: found } of cells) {
    counts[found === FATE.undecided ? "undecided" : found === FATE.learns ? "learns" : "fails"] += 1;
    if (found === FATE.undecided) continue;
    if (plane.verdict(x, y) === SEPARATRIX) counts.boundary += 1;
    else if ((found === FATE.learns) !== (edgeVerdict(plane, edge, x, y) === LEARNS)) counts.disagree += 1;
  }
  return counts;
}
