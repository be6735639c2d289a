// The flow of the neuron: exact for one input, integrated for several. Everything here is a pure function of numbers.
// The formulas themselves are in `equations`, which theory/portraits/explorer/equations.py prints.

const FAILS = "fails", LEARNS = "learns", SEPARATRIX = "separatrix";
const BAND = 1e-12; // |w| is rounded, so "balanced" is a relative band, as in theory.exact.limits
const ON_AXIS = 1e-13; // an angle this small is the w_1 axis
const TINY = 1e-300;

// G(psi) = sin psi - psi cos psi: its series where the difference would cancel
const arc = (psi) => (psi < 0.25 ? equations.arc_series(psi) : equations.arc(psi));

// --- one input: loss C+ (a w - k+)^2 / 2 for w > 0, C- (a |w| - k-)^2 / 2 for w < 0, and a constant on each side

function line(p, q, kPlus = 1, kMinus = 0) {
  const sides = { 1: { C: p, k: kPlus }, "-1": { C: q, k: kMinus } };
  return { p, q, kPlus, kMinus, sides };
}

// (a', r') on one side, r = |w|, continued smoothly beyond r = 0. By the scaling of Theorem `sample-1d` a fit k is the
// fit 1 in the units sqrt(|k|), on the clock C |k|.
function sideVelocity(side, a, r) {
  if (side.k === 0) return [equations.below_a(a, -r, side.C), -equations.below_w(a, -r, side.C)];
  const root = Math.sqrt(Math.abs(side.k)), sign = Math.sign(side.k);
  const alpha = (sign * a) / root, rho = r / root, rate = side.C * Math.abs(side.k);
  return [sign * root * equations.above_a(alpha, rho, rate), root * equations.above_w(alpha, rho, rate)];
}

function lineVelocity(on, a, w) {
  if (w === 0) return [0, 0]; // relu'(0) = 0
  const s = w > 0 ? 1 : -1;
  const [da, dr] = sideVelocity(on.sides[s], a, s * w);
  return [da, s * dr];
}

function lineLoss(on, a, w) {
  const s = w > 0 ? 1 : -1, here = on.sides[s], other = on.sides[-s];
  const own = here.k === 0
    ? equations.below_loss(a, -Math.abs(w), 0, here.C)
    : here.k * here.k * equations.above_loss(a / here.k, Math.abs(w), here.C, 0);
  return own + (other.C * other.k * other.k) / 2;
}

// One side of w = 0 from (a0, r0): where it is at a time t of either sign, while it is there, and how it ends.
function sideFlow(side, a0, r0) {
  return side.k === 0 || side.C === 0 ? decaying(side, a0, r0) : fitting(side, a0, r0);
}

// A side that fits 0: the larger of |a| and r tends to sqrt(|c|), the smaller to 0.
function decaying(side, a0, r0) {
  const big = Math.max(Math.abs(a0), r0), small = Math.min(Math.abs(a0), r0);
  const c = (big - small) * (big + small), start = small * small;
  const pole = start === 0 ? Infinity : c > 0 ? Math.log1p(c / start) / (2 * c) : 1 / (2 * start); // -t, if C = 1
  const at = (t) => {
    const x = 2 * c * side.C * t;
    const g = Math.abs(x) > 1e-8 ? -Math.expm1(-x) / c : 2 * side.C * t * (1 - x / 2);
    const large = Math.sqrt(equations.decayed_large(c, start, g, Math.exp(-x)));
    const less = Math.sqrt(equations.decayed_small(c, start, g, Math.exp(-x)));
    return Math.abs(a0) >= r0 ? [Math.sign(a0) * large, less] : [Math.sign(a0) * less, large];
  };
  const root = Math.sqrt(c), leads = Math.abs(a0) >= r0;
  return {
    at,
    from: side.C > 0 ? -pole / side.C : -Infinity,
    to: Infinity,
    end: side.C === 0 ? [a0, r0] : leads ? [Math.sign(a0) * root, 0] : [0, root],
    how: FAILS,
    zeroOfA: NaN,
  };
}

// A side that fits k, by Theorem A.1: a + r = A sqrt(z), a - r = B / sqrt(z), and z is a fraction linear in e = exp(-D t).
function fitting(side, a0, r0) {
  const root = Math.sqrt(Math.abs(side.k)), sign = Math.sign(side.k), rate = side.C * Math.abs(side.k);
  const alpha = (sign * a0) / root, rho = r0 / root;
  const balanced = r0 > 0 && alpha < 0 && Math.abs(-alpha - rho) <= BAND * rho;
  const A = balanced ? 0 : alpha + rho, B = balanced ? -2 * rho : alpha - rho;
  const c = A * B, D = Math.hypot(2, c);
  const timeOf = (e) => (e > 0 ? -Math.log(e) / (D * rate) : NaN);
  const timeAt = (z) => timeOf(equations.clock(A, B, D, z));
  const hits = A < 0 && r0 > 0;
  const to = hits ? timeAt(B / A) : Infinity;
  // before the start: w = 0, which the flow has left, or the moment at which |a| + r came from infinity
  const before = [timeOf(equations.clock_at_zero(A, B, D)), timeOf(equations.clock_at_infinity(A, B, D))];
  if (A > 0 && B > 0) before.push(timeAt(B / A));
  const past = before.filter((t) => t < 0);
  const at = (t) => {
    if (t >= to) return [-sign * root * Math.sqrt(Math.max(c, 0)), 0];
    const up = Math.sqrt(equations.fraction(A, B, D, Math.exp(-D * rate * t)));
    const plus = A === 0 ? 0 : A * up, minus = B === 0 ? 0 : B / up;
    return [(sign * root * (plus + minus)) / 2, Math.max((root * (plus - minus)) / 2, 0)];
  };
  const square = equations.learned_square(c), learned = [sign * root * Math.sqrt(square), root / Math.sqrt(square)];
  const rests = rho === 0 && alpha <= 0;
  const end = rests ? [a0, 0] : A > 0 ? learned : A < 0 ? [-sign * root * Math.sqrt(Math.max(c, 0)), 0] : [0, 0];
  // when the output a r has come within `gap` of the fit, on the way from below or above
  const timeNear = (gap) => {
    if (!(A > 0)) return NaN;
    const reach = gap / Math.abs(side.k), off = alpha * rho - 1;
    if (Math.abs(off) <= reach) return 0;
    const output = 1 + Math.sign(off) * reach;
    return timeAt((2 * output + Math.sqrt(4 * output * output + c * c)) / (A * A));
  };
  return {
    at,
    from: past.length ? Math.max(...past) : -Infinity,
    to,
    end,
    how: A > 0 ? LEARNS : balanced ? SEPARATRIX : FAILS,
    zeroOfA: A * B < 0 ? timeAt(-B / A) : NaN,
    timeNear,
  };
}

// The path of one input from (a0, w0): exact at every time, also before the start.
function linePath(on, a0, w0) {
  const s = w0 > 0 ? 1 : -1, here = on.sides[s], other = on.sides[-s];
  const first = w0 === 0 || here.C === 0 ? resting(a0, Math.abs(w0)) : sideFlow(here, a0, Math.abs(w0));
  const pieces = [{ s, start: 0, flow: first }];
  const atKink = first.end[0];
  if (first.to < Infinity && other.C * other.k * atKink > 0) { // that side pushes away from w = 0
    pieces.push({ s: -s, start: first.to, flow: sideFlow(other, atKink, 0) });
  }
  const last = pieces[pieces.length - 1];
  const fitsPlus = last.s > 0 && last.flow.how === LEARNS && on.kPlus !== 0;
  const events = [];
  if (first.to < Infinity) events.push({ name: "w = 0", t: first.to });
  if (first.zeroOfA > 0 && first.zeroOfA < first.to) events.push({ name: "a = 0", t: first.zeroOfA });
  const at = (t) => {
    const piece = pieces.length > 1 && t >= pieces[1].start ? pieces[1] : pieces[0];
    const [a, r] = piece.flow.at(Math.max(t, first.from) - piece.start);
    return { a, w: piece.s * r + 0, loss: lineLoss(on, a, piece.s * r) };
  };
  const verdict = fitsPlus ? LEARNS : first.how === SEPARATRIX ? SEPARATRIX : FAILS;
  const timeToLearn = (tolerance) => {
    if (!fitsPlus) return NaN;
    return last.start + last.flow.timeNear(Math.sqrt((2 * tolerance) / on.sides[1].C));
  };
  return {
    at, events, verdict, timeToLearn,
    from: first.from,
    limit: { a: last.flow.end[0], w: last.s * last.flow.end[1] + 0 },
    c: (Math.abs(a0) - Math.abs(w0)) * (Math.abs(a0) + Math.abs(w0)),
    exact: true,
  };
}

function resting(a0, r0) {
  return { at: () => [a0, r0], from: -Infinity, to: Infinity, end: [a0, r0], how: FAILS, zeroOfA: NaN, timeNear: () => NaN };
}

// --- a Runge-Kutta method of order 8 (DOP853), whose coefficients scipy gives: `tableau` = {A, B, E3, E5}

const nonzero = (row) => row.map((weight, j) => [j, weight]).filter(([, weight]) => weight !== 0);
const STAGES = tableau.A.map(nonzero), LAST = nonzero(tableau.B), ERROR_3 = nonzero(tableau.E3), ERROR_5 = nonzero(tableau.E5);

function weighted(weights, k, i) {
  let sum = 0;
  for (let m = 0; m < weights.length; m++) sum += weights[m][1] * k[weights[m][0]][i];
  return sum;
}

function rungeKuttaStep(f, y, k0, h) {
  const n = y.length, k = [k0];
  const moved = (weights) => {
    const out = new Array(n);
    for (let i = 0; i < n; i++) out[i] = y[i] + h * weighted(weights, k, i);
    return out;
  };
  for (let s = 1; s < tableau.B.length; s++) k.push(f(moved(STAGES[s])));
  const next = moved(LAST);
  k.push(f(next));
  return { next, k };
}

function errorOf(k, h, scale) {
  let e3 = 0, e5 = 0;
  for (let i = 0; i < scale.length; i++) {
    e3 += (weighted(ERROR_3, k, i) / scale[i]) ** 2;
    e5 += (weighted(ERROR_5, k, i) / scale[i]) ** 2;
  }
  return (Math.abs(h) * e5) / Math.sqrt(scale.length * (e5 + 0.01 * e3) + TINY);
}

// Follow y' = f(y) from y0 in the direction `sign` of time. `follow.until(t)` extends the stored steps; `follow.at(t)`
// is one step of the method from the last stored state before t, so it is as accurate as the steps themselves.
function follower({ f, y0, sign = 1, scale, allowed = () => true, done = () => false, mostSteps = 20000 }) {
  const ts = [0], ys = [y0], ks = [f(y0)];
  let h = firstStep(y0, ks[0]), status = "follows";
  function step() {
    const y = ys[ys.length - 1], k0 = ks[ks.length - 1];
    for (let tries = 0; tries < 60; tries++) {
      const { next, k } = rungeKuttaStep(f, y, k0, sign * h);
      const ok = next.every(Number.isFinite) && allowed(next, y);
      const error = ok ? errorOf(k, h, scale(y, next)) : Infinity;
      const growth = Number.isFinite(error) ? Math.min(Math.max(0.9 * Math.max(error, 1e-8) ** (-1 / 8), 0.2), 7) : 0.2;
      if (error <= 1) {
        ts.push(ts[ts.length - 1] + h);
        ys.push(next);
        ks.push(k[k.length - 1]);
        h *= growth;
        return true;
      }
      h *= Math.min(growth, 0.9);
      if (!(h > 1e-14 * (1 + ts[ts.length - 1]))) break;
    }
    return false;
  }
  function until(t) {
    while (status === "follows" && ts[ts.length - 1] < t) {
      if (done(ys[ys.length - 1], ks[ks.length - 1], ts[ts.length - 1])) status = "at rest";
      else if (ts.length > mostSteps) status = "stopped";
      else if (!step()) status = "ends";
    }
    return status;
  }
  function index(t) {
    let low = 0, high = ts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (ts[middle] <= t) low = middle; else high = middle - 1;
    }
    return low;
  }
  function at(t) { // t >= 0 along the direction
    until(t);
    const i = index(t);
    if (t === ts[i] || i === ts.length - 1) return ys[i];
    return rungeKuttaStep(f, ys[i], ks[i], sign * (t - ts[i])).next;
  }
  // Points of the path up to t, close enough to draw: cubic pieces through the stored states and slopes.
  function sketch(t, pieces = 5) {
    until(t);
    const out = [ys[0]];
    for (let i = 1; i < ts.length && ts[i - 1] < t; i++) {
      const h = ts[i] - ts[i - 1], most = Math.min(1, (t - ts[i - 1]) / h);
      for (let j = 1; j <= pieces; j++) {
        const s = (most * j) / pieces, s2 = s * s, s3 = s2 * s;
        out.push(ys[i].map((y, m) => (2 * s3 - 3 * s2 + 1) * ys[i - 1][m] + (3 * s2 - 2 * s3) * y
          + sign * h * ((s3 - 2 * s2 + s) * ks[i - 1][m] + (s3 - s2) * ks[i][m])));
      }
    }
    return out;
  }
  return { until, at, sketch, ts, ys, get status() { return status; }, get last() { return ts[ts.length - 1]; } };
}

function firstStep(y, k) {
  let rate = 1e-3;
  for (let i = 0; i < y.length; i++) rate += Math.abs(k[i]) / (Math.abs(y[i]) + 1e-3);
  return Math.min(0.05 / rate, 1);
}

// --- several inputs at constant c = a^2 - r^2: x is r where c >= 0 and a where c < 0; the other follows from c

const RTOL = 1e-11;

function slice(c, sign = 1) {
  const root = Math.sqrt(Math.abs(c));
  const neuron = c < 0
    ? (x) => [x, Math.hypot(x, root)]
    : (x) => [sign * (c === 0 ? x : Math.hypot(x, root)), x];
  return { c, sign: c < 0 ? 0 : sign, neuron, first: c < 0 ? "a" : "r" };
}

const sineOf = (psi) => Math.sin(Math.min(psi, Math.PI - psi)); // exactly 0 at pi: theta = 0 is invariant

function polarVelocity(a, r, psi) {
  const g = arc(psi);
  return [equations.polar_a(a, r, psi, g), equations.polar_r(a, r, psi, g), equations.polar_psi(a, r, psi, g)];
}

// (x', theta') of the plane, NaN where r = 0 leaves theta without a speed
function sliceVelocity(on, x, theta) {
  const [a, r] = on.neuron(x), psi = Math.PI - theta;
  if (r === 0) return on.c === 0 ? [0, (on.sign * -psi * sineOf(psi)) / (2 * Math.PI)] : [NaN, NaN];
  const [da, dr, dpsi] = polarVelocity(a, r, psi);
  return [on.c < 0 ? da : dr, 0 - dpsi];
}

const polarLoss = (a, r, psi) => Math.max(equations.polar_loss(a, r, psi, arc(psi)), 0);

// where x' = 0: the root of a r = g / pi
function sliceNullcline(on, theta) {
  const reach = arc(Math.PI - theta) / Math.PI;
  return reach > 0 ? reach * Math.sqrt(2 / (Math.abs(on.c) + Math.hypot(on.c, 2 * reach))) : 0;
}

// The exact verdict of d > 1: it learns iff a > -|w|, and w is neither 0 nor on the ray -e_1.
function severalVerdict(a, r, theta) {
  const balanced = a < 0 && Math.abs(-a - r) <= BAND * r;
  return r > 0 && Math.PI - theta > 0 && !balanced && a > -r ? LEARNS : FAILS;
}

function severalLimit(on, a, r, theta) {
  const root = Math.sqrt(Math.abs(on.c));
  if (severalVerdict(a, r, theta) === LEARNS) {
    const size = Math.sqrt(equations.learned_square(on.c));
    return { a: size, w: 1 / size };
  }
  return on.c < 0 ? { a: 0, w: -root } : { a: Math.sign(a) * root, w: 0 };
}

// The path of several inputs from (x0, theta0) in a slice.
function slicePath(on, x0, theta0) {
  const [a0, r0] = on.neuron(x0), psi0 = Math.PI - theta0;
  const verdict = severalVerdict(a0, r0, theta0), limit = severalLimit(on, a0, r0, theta0);
  const axis = psi0 <= ON_AXIS || theta0 <= ON_AXIS;
  if (axis || r0 === 0) return onAxis(on, a0, r0, theta0, verdict);
  // the third entry is the coordinate that c gives: it is integrated as well, so that the drift of c can be seen
  const f = ([x, psi]) => {
    const [a, r] = on.neuron(x), [da, dr, dpsi] = polarVelocity(a, r, psi);
    return on.c < 0 ? [da, dpsi, dr] : [dr, dpsi, da];
  };
  const scale = (y, z) => [
    RTOL * (on.c < 0 ? Math.max(Math.abs(y[0]), Math.abs(z[0])) + Math.min(0.1 * Math.sqrt(-on.c), 1)
      : Math.max(Math.abs(y[0]), Math.abs(z[0]))) + TINY,
    RTOL * Math.max(Math.abs(y[1]), Math.abs(z[1])) + TINY,
    RTOL * (Math.abs(y[2]) + Math.abs(z[2]) + 1e-3),
  ];
  const allowed = (z) => (on.c < 0 || z[0] > 0) && z[1] > 0 && z[1] < Math.PI + 1e-12;
  const done = ([x, psi]) => {
    const [a, r] = on.neuron(x);
    return r < 1e-14 || (Math.abs(a * r - 1) < 1e-14 && Math.PI - psi < 1e-14);
  };
  const y0 = [x0, psi0, on.c < 0 ? r0 : a0];
  const grown = ([x]) => Math.abs(x) > 1e3;
  const ahead = follower({ f, y0, scale, allowed, done, mostSteps: 100000 });
  const behind = follower({ f, y0, scale, allowed, sign: -1, done: grown, mostSteps: 4000 });
  const state = (t) => {
    const y = t >= 0 ? ahead.at(t) : behind.at(-t);
    const [a, r] = on.neuron(y[0]), psi = Math.min(y[1], Math.PI);
    const c = on.c < 0 ? (y[0] - y[2]) * (y[0] + y[2]) : (y[2] - y[0]) * (y[2] + y[0]);
    return { a, w: -r * Math.cos(psi), across: r * sineOf(psi), r, theta: Math.PI - psi, psi, x: y[0],
      loss: polarLoss(a, r, psi), drift: (c - on.c) / (a * a + r * r + Math.abs(on.c)) };
  };
  return {
    at: state, verdict, limit, c: on.c, exact: false, from: -Infinity, ahead, behind,
    eventsUntil: (t) => crossings(ahead, on, t),
    timeToLearn: (tolerance) => firstBelow(ahead, on, tolerance, verdict),
  };
}

function onAxis(on, a0, r0, theta0, verdict) {
  const side = Math.PI - theta0 <= ON_AXIS ? -1 : 1;
  const path = r0 === 0 ? linePath(line(0.5, 0.5), a0, 0) : linePath(line(0.5, 0.5), a0, side * r0);
  const at = (t) => {
    const { a, w, loss } = path.at(t), r = Math.abs(w), theta = side > 0 ? 0 : Math.PI;
    return { a, w, across: 0, r, theta, psi: Math.PI - theta, x: on.c < 0 ? a : r, loss, drift: 0 };
  };
  return {
    at, verdict, limit: path.limit, c: on.c, exact: true, from: path.from, eventsUntil: () => path.events,
    timeToLearn: verdict === LEARNS ? path.timeToLearn : () => NaN,
  };
}

// The time in (t0, t1) at which `value` of a follower's state is 0, by bisection with steps of the method itself.
function landing(run, t0, t1, value) {
  let low = t0, high = t1;
  const sign = Math.sign(value(run.at(t0)));
  for (let i = 0; i < 60 && high - low > 1e-15 * high; i++) {
    const middle = (low + high) / 2;
    if (Math.sign(value(run.at(middle))) === sign) low = middle; else high = middle;
  }
  return high;
}

function crossings(run, on, t) {
  run.until(t);
  const found = [], values = { "w_1 = 0": (y) => y[1] - Math.PI / 2 };
  if (on.c < 0) values["a = 0"] = (y) => y[0];
  for (const [name, value] of Object.entries(values)) {
    for (let i = 1; i < run.ts.length; i++) {
      const before = value(run.ys[i - 1]), after = value(run.ys[i]);
      if (before * after < 0 || (after === 0 && before !== 0)) {
        found.push({ name, t: landing(run, run.ts[i - 1], run.ts[i], value) });
      }
    }
  }
  return found.filter((event) => event.t <= t).sort((one, other) => one.t - other.t);
}

function firstBelow(run, on, tolerance, verdict, most = 1e7) {
  if (verdict !== LEARNS) return NaN;
  const height = (y) => {
    const [a, r] = on.neuron(y[0]);
    return polarLoss(a, r, y[1]) - tolerance;
  };
  if (height(run.ys[0]) <= 0) return 0;
  for (let i = 1; ; i++) {
    if (i >= run.ts.length) {
      if (run.status !== "follows" || run.last > most || i > 20000) return NaN;
      run.until(run.last * 1.0000001 + 1e-12);
      i = Math.min(i, run.ts.length - 1);
    }
    if (height(run.ys[i]) <= 0) return landing(run, run.ts[i - 1], run.ts[i], height);
  }
}

// --- gradient descent: steps of finite size, on one input or on several (u = w_1, v = |w_perp| with a sign)

function lineDescent(on, a0, w0, step, steps) {
  const out = [[a0, w0]];
  let a = a0, w = w0;
  for (let i = 0; i < steps; i++) {
    const [da, dw] = lineVelocity(on, a, w);
    a += step * da;
    w += step * dw;
    out.push([a, w]);
    if (!(Math.abs(a) < 1e100 && Math.abs(w) < 1e100) || (da === 0 && dw === 0)) break;
  }
  return out;
}

function severalDescent(a0, r0, theta0, step, steps) {
  let a = a0, u = r0 * Math.cos(theta0), v = r0 * Math.sin(theta0);
  const out = [[a, u, v]];
  for (let i = 0; i < steps; i++) {
    const across = Math.abs(v), r = Math.hypot(u, across);
    if (r === 0) break;
    const [da, dr, dpsi] = polarVelocity(a, r, Math.atan2(across, -u));
    const cosine = u / r, sine = across / r, turn = -dpsi * r;
    a += step * da;
    u += step * (dr * cosine - turn * sine);
    v += step * (Math.sign(v) || 1) * (dr * sine + turn * cosine);
    out.push([a, u, v]);
    if (!(Math.abs(a) < 1e100 && Math.abs(u) < 1e100 && Math.abs(v) < 1e100)) break;
  }
  return out;
}
