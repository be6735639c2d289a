// The Python lines that reproduce the picture with the packages `theory` and `figures`.

function pythonOf(state, plane, paths) {
  const reach = reachOf(state.box || plane.home), lines = ["import numpy as np", "import figures, theory", ""];
  const one = plane.name === "line", span = paths.map((path) => [path.earliest, state.t - path.earliest]);
  if (one && plane.usual) {
    lines.push(`plane = theory.phase_plane("line", c_plus=${plane.on.p}, c_minus=${plane.on.q}, extent=${reach})`);
  } else if (one) {
    lines.push(...ownLine(plane.on, reach));
  } else {
    const extent = Math.max(...(state.box || plane.home).slice(0, 2).map(Math.abs));
    const sign = plane.on.c < 0 ? "" : `, sign_a=${plane.on.sign}`;
    lines.push(plane.on.c === 0 ? `plane = theory.phase_plane("balanced"${sign}, extent=${extent}, grid=41)` : `plane = theory.phase_plane("slice", c=${plane.on.c}${sign}, extent=${extent}, grid=41)`);
  }
  lines.push("starts = [  # a, w, and how long to follow");
  paths.forEach((path, i) => {
    const found = path.at(span[i][0]);
    const w = one ? found.w : `[${found.w}, ${found.across}${", 0.0".repeat(Math.max(Math.min(state.d, 10) - 2, 0))}]`;
    lines.push(`    (${found.a}, ${w}, ${span[i][1]}),`);
  });
  lines.push("]");
  const trajectory = one && !plane.usual ? "np.stack(theory.closed_form(a, w, time, *line.numbers), axis=1)" : "plane.trajectory(a, w, time)";
  lines.push("clock = np.linspace(0, 1, 401) ** 3", `paths = [${trajectory} for a, w, end in starts for time in [end * clock]]`);
  if (state.gd && paths.length) lines.push(...descentLines(state, plane, one));
  lines.push(`figure = figures.phase_portrait(plane, paths=paths, levels=${state.layers.includes("levels") ? "True" : "False"}, columns=2)`);
  lines.push('figure.savefig("portrait.png")');
  lines.push(`print([theory.limit(a, w${one && !plane.usual ? ", line" : ""}).verdict for a, w, end in starts])`);
  lines.push(`print(theory.success_probability("imp", ${state.d}, "${state.init}", 10_000, seed=0))`);
  return lines.join("\n") + "\n";
}

function ownLine(on, reach) {
  return [
    "from types import SimpleNamespace", "",
    `line = theory.Line(${on.p}, ${on.q}, ${on.kPlus}, ${on.kMinus})`,
    `axis = np.linspace(${-reach}, ${reach}, 81)`, "a, w = np.meshgrid(axis, axis)", "da, dw = line.gradient(a, w[..., None])",
    'plane = SimpleNamespace(about="one input, other targets", coordinates=("a", "w"), x=axis, y=axis, field_x=-da, field_y=-dw[..., 0],',
    "                        curves=(), equilibria=(), verdict=theory.verdicts(a, w[..., None], line))",
  ];
}

function descentLines(state, plane, one) {
  const loss = one ? (plane.usual ? `theory.Line(${plane.on.p}, ${plane.on.q})` : "line") : `theory.Population(${Math.max(state.d, 2)})`;
  const start = one ? "[w]" : `np.pad(w, (0, ${Math.max(state.d, 2)}))[:${Math.max(state.d, 2)}]`;
  const path = one && !plane.usual ? "np.column_stack([run.a, run.w])" : "plane.path(run.a, run.w)";
  const steps = descentSteps(state);
  return [
    `runs = [theory.descend(${loss}, a, ${start}, ${state.eta}, max_steps=${steps}, at=range(${steps})) for a, w, end in starts]`,
    `paths += [${path} for run in runs]`,
  ];
}

const descentSteps = (state) => Math.max(1, Math.min(Math.round(state.t / state.eta), 5000));

function csvOf(plane, paths, state) {
  const rows = [];
  paths.forEach((path, i) => {
    const from = path.earliest;
    for (let k = 0; k <= 200; k++) {
      const t = from + ((state.t - from) * k) / 200, found = path.at(t), values = plane.values(found);
      if (!rows.length) rows.push(["start", "t", ...Object.keys(values), "loss", "verdict"]);
      rows.push([i + 1, t, ...Object.values(values), found.loss, path.verdict]);
    }
  });
  return rows.map((row) => row.join(",")).join("\n") + "\n";
}
