// The published page: budgets, chart, network, pins. State is one object; `show` draws it. Choosing is in selection.js.
"use strict";

(async () => {
  const PINS = 4, LONGEST = 40, WORDS = {fp32: "float32", int8: "eight bits"};
  const at = id => document.getElementById(id);
  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    return JSON.parse(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text());
  }
  const data = await unpacked(at("data").textContent), SHEET = data.sheet, sheets = new Map();
  const short = value => Number(value.toPrecision(4)).toString();
  const tenth = value => `${(100 * value).toFixed(1)} %`;
  const percent = value => `${(100 * value).toFixed(2)} %`;
  const state = {precision: Object.keys(data.views)[0], chart: "", budgets: {}, active: new Set(), board: "", log: false, band: true,
    asking: false, least: 0, cheapest: "", pins: [], names: {}};
  const kept = {};  // precision -> its pins
  let view, rows = {}, current;

  const device = name => view.devices.find(known => known.name === name);
  const budget = () => Object.fromEntries([...state.active].map(name => [name, state.budgets[name]]));

  function element(tag, text = "", attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  // state ------------------------------------------------------------------------------------------------------------

  function open(precision) {
    kept[state.precision] = state.pins;
    state.precision = precision;
    state.pins = kept[precision] ?? [];
    view = data.views[precision];
    const first = view.targets[0];
    Object.assign(state, {chart: first, budgets: {}, active: new Set([first]), board: "", asking: false, cheapest: first});
    for (const name of view.targets) state.budgets[name] = device(name).knee;
  }

  function choose() {
    current = state.asking ? Selection.cheapest(view, state.least, state.cheapest, budget()) : Selection.generate(view, budget());
    for (const name of view.targets) if (!state.active.has(name)) state.budgets[name] = current.costs[name];
  }

  function move(name, value) {
    const {low, high} = device(name);
    state.budgets[name] = Math.min(Math.max(value, low), high);
    bind(name, true);
  }

  // switch a budget on or off; the device that the network is cheapest on has none, so its budget ends the asking
  function bind(name, on) {
    if (on) state.active.add(name); else state.active.delete(name);
    if (name === state.cheapest) state.asking = false;
    state.board = "";
    show();
  }

  function ask(on, name = state.cheapest) {
    Object.assign(state, {asking: on, cheapest: name});
    if (on) state.active.delete(name); else state.active.add(name);
    show();
  }

  // link ---------------------------------------------------------------------------------------------------------------

  function query() {
    const words = new URLSearchParams({precision: state.precision, chart: state.chart});
    for (const [name, value] of Object.entries(budget())) words.set(`budget-${name}`, value);
    if (state.board) words.set("board", state.board);
    if (state.asking) { words.set("least", state.least); words.set("cheapest", state.cheapest); }
    if (state.pins.length) words.set("pins", state.pins.map(pin => pin.architecture).join(","));
    state.pins.forEach((pin, i) => { if (state.names[pin.architecture]) words.set(`name-${i}`, state.names[pin.architecture]); });
    return words.toString();
  }

  function follow(text) {
    const words = new URLSearchParams(text);
    open(data.views[words.get("precision")] ? words.get("precision") : Object.keys(data.views)[0]);
    const known = ["precision", "chart", "board", "least", "cheapest", "pins", ...view.targets.map(name => `budget-${name}`)];
    const lost = [...words.keys()].filter(name => !known.includes(name) && !/^name-[0-9]$/.test(name));
    if (words.has("precision") && !data.views[words.get("precision")]) lost.push("precision");
    const bounded = view.targets.filter(name => Number(words.get(`budget-${name}`)) > 0);
    const least = Number(words.get("least"));
    if (bounded.length || least > 0) state.active = new Set(bounded);
    for (const name of bounded) state.budgets[name] = Number(words.get(`budget-${name}`));
    if (view.targets.includes(words.get("chart"))) state.chart = words.get("chart");
    if (data.boards.some(([title]) => title === words.get("board"))) state.board = words.get("board");
    if (least > 0 && least <= 1) Object.assign(state, {asking: true, least, cheapest: words.get("cheapest") ?? state.chart});
    if (!view.targets.includes(state.cheapest)) state.cheapest = view.targets[0];
    if (state.asking) state.active.delete(state.cheapest);
    for (const [i, key] of (words.get("pins") ?? "").split(",").entries()) {
      if (words.has(`name-${i}`)) state.names[key] = words.get(`name-${i}`).slice(0, LONGEST);
      const row = view.keys.indexOf(key);
      if (row >= 0 && state.pins.length < PINS) state.pins.push(network(row));
      else if (key) lost.push(key);
    }
    at("lost").textContent = lost.length ? `The link names what this page does not have: ${lost.join(", ")}.` : "";
  }

  function network(row) {
    const costs = Object.fromEntries(view.devices.map((known, j) => [known.name, view.costs[row][j]]));
    return {architecture: view.keys[row], accuracy: view.accuracy[row], interval: [view.lo[row], view.hi[row]], costs, row};
  }

  // drawing --------------------------------------------------------------------------------------------------------------

  function build() {
    at("rows").replaceChildren();
    rows = {};
    for (const name of view.targets) {
      const known = device(name), box = element("div", "", {class: "row"}), top = element("div", "", {class: "top"});
      const label = element("label"), on = element("input", "", {type: "checkbox"}), right = element("span");
      label.append(on, ` ${name}`);
      const number = element("input", "", {type: "text", inputmode: "decimal", "aria-label": `${name} in ${known.unit}`});
      right.append(number, ` ${known.unit}`);
      top.append(label, right);
      const slider = element("input", "", {type: "range", min: 0, max: 1000, step: 1, "aria-label": `${known.quantity} budget on ${name}`});
      box.append(top, slider, element("small", `reachable ${short(known.low)} to ${short(known.high)} ${known.unit} · ${known.kind}`));
      at("rows").append(box);
      rows[name] = {box, on, number, slider};
      on.addEventListener("change", () => bind(name, on.checked));
      slider.addEventListener("input", () => move(name, known.low * (known.high / known.low) ** (slider.value / 1000)));
      number.addEventListener("change", () => {
        const value = Number(number.value.replace(",", ".").replace(known.unit, "").trim());
        number.classList.toggle("bad", !(value > 0));
        if (value > 0) move(name, value);
      });
    }
    const options = view.targets.map(name => new Option(name, name));
    at("target").replaceChildren(...options);
    at("cheapest").replaceChildren(...options.map(option => option.cloneNode(true)));
    const memory = ["ram_kb", "flash_kb"].every(name => view.targets.includes(name));
    at("board").hidden = !memory;
    at("board").querySelector("select").replaceChildren(new Option("no board", ""), ...data.boards.map(([title]) => new Option(title, title)));
    for (const button of at("precisions").children) button.setAttribute("aria-pressed", button.value === state.precision);
    draw();
  }

  const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function draw() {
    const chart = view.charts[state.chart];
    const layout = structuredClone(chart.figure.layout);
    Object.assign(layout, {paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true});
    layout.font = {...(layout.font ?? {}), color: style("--ink")};
    delete layout.width; delete layout.height;
    for (const axis of [layout.xaxis, layout.yaxis]) Object.assign(axis, {gridcolor: style("--line"), zerolinecolor: style("--line")});
    layout.xaxis.type = state.log ? "log" : "linear";
    const traces = structuredClone(chart.figure.data);
    traces.find(trace => trace.name === "band").visible = state.band;
    Plotly.react("chart", traces, layout, {...data.config, responsive: true});
    gallery();
    at("chart").removeAllListeners?.("plotly_click");
    at("chart").on("plotly_click", event => {
      const cost = event.points[0].x;
      if (["evaluated", "front", "searched"].includes(event.points[0].data.name)) move(state.chart, cost);
    });
  }

  // small drawings of networks along the chart's front; a click sets the budget to the network's cost
  function gallery() {
    at("gallery").replaceChildren(...view.charts[state.chart].gallery.map(([key, drawing]) => {
      const row = view.keys.indexOf(key), made = element("button", "", {type: "button", value: key, title: key});
      const cost = network(row).costs[state.chart], said = element("span");
      made.innerHTML = drawing;
      said.append(element("b", tenth(view.accuracy[row])), ` ${Number(cost.toPrecision(3))} ${device(state.chart).unit}`);
      made.append(said);
      made.addEventListener("click", () => { state.active.clear(); state.asking = false; move(state.chart, cost); });
      return made;
    }));
  }

  // drawings come in packed sheets: a page of thousands of networks would open slowly with all of them
  async function picture(row) {
    const packed = view.drawings[Math.floor(row / SHEET)];
    if (!sheets.has(packed)) sheets.set(packed, unpacked(packed));
    const drawn = (await sheets.get(packed))[row % SHEET];
    if (row === current.row && view.drawings[Math.floor(row / SHEET)] === packed) at("drawing").innerHTML = drawn;
  }

  function marks() {
    const chart = view.charts[state.chart], index = name => chart.figure.data.findIndex(trace => trace.name === name);
    const line = state.active.has(state.chart) ? state.budgets[state.chart] : null;
    const pins = of => state.pins.map(of), {interval, accuracy} = current;
    Plotly.restyle("chart", {  // one call, because each draws the whole chart
      x: [line === null ? [] : [line, line], pins(pin => pin.costs[state.chart]), [current.costs[state.chart]]],
      y: [line === null ? [] : chart.y_range, pins(pin => 100 * pin.accuracy), [100 * accuracy]],
      text: [[], pins((pin, i) => nameOf(pin, i)), [current.architecture]],
      "error_y.array": [[], pins(pin => 100 * (pin.interval[1] - pin.accuracy)), [100 * (interval[1] - accuracy)]],
      "error_y.arrayminus": [[], pins(pin => 100 * (pin.accuracy - pin.interval[0])), [100 * (accuracy - interval[0])]],
    }, ["budget", "pinned", "generated"].map(index));
  }

  const nameOf = (pin, i) => state.names[pin.architecture] || String(i + 1);

  function sentence() {
    const measured = view.measured[current.row];
    const said = measured === null ? "" : `Measured on validation images, ${data.weights_are}: ${percent(measured)}.`;
    if (current.feasible) return said;
    const board = data.boards.find(([title]) => title === state.board);
    const missing = board ? Object.entries(board[1]).filter(([name, limit]) => current.costs[name] > limit)
      .map(([name, limit]) => `${Math.round(1024 * (current.costs[name] - limit)).toLocaleString("en")} bytes of ${name === "ram_kb" ? "RAM" : "flash"}`) : [];
    const what = state.asking ? `at least ${percent(state.least)}` : "these budgets";
    return `Not reachable: ${what}; the nearest network is shown${missing.length ? `; ${state.board} lacks ${missing.join(" and ")}` : ""}. ${said}`;
  }

  function line(...words) {
    const made = element("tr");
    made.append(...words.map(word => word instanceof Node ? word : element("td", word)));
    return made;
  }

  // the precision that a device prices, where it is not that of the accuracy
  const apart = known => (known.quantity === "count" || known.precision === state.precision ? "" : WORDS[known.precision]);

  function compare() {
    at("nothing").hidden = state.pins.length > 0;
    const head = line(element("th", ""), ...state.pins.map((pin, i) => {
      const cell = element("td"), box = element("div", "", {class: "name"});
      const button = element("button", "Unpin", {type: "button", "aria-label": `unpin network ${i + 1}`});
      const name = element("input", "", {type: "text", maxlength: LONGEST, placeholder: i + 1, "aria-label": `name of network ${i + 1}`});
      name.value = state.names[pin.architecture] ?? "";
      name.addEventListener("change", () => { state.names[pin.architecture] = name.value.trim(); show(); });
      button.addEventListener("click", () => { state.pins.splice(i, 1); show(); });
      box.append(name, button);
      cell.append(box);
      return cell;
    }));
    const each = (name, of) => {
      const cells = state.pins.map(of), differs = new Set(cells).size > 1;
      return line(element("th", name), ...cells.map(text => element("td", text, differs ? {class: "differs"} : {})));
    };
    at("pins").replaceChildren(...(state.pins.length ? [
      head, each("accuracy", pin => percent(pin.accuracy)),
      ...view.devices.map(known => each(known.name, pin => `${short(pin.costs[known.name])} ${known.unit}`)),
      each("blocks", pin => view.words[pin.row]),
    ] : []));
    for (const cell of at("pins").querySelectorAll("tr:last-child td")) cell.style.whiteSpace = "pre-wrap";
  }

  function show() {
    choose();
    for (const [name, row] of Object.entries(rows)) {
      const {low, high} = device(name), value = state.budgets[name];
      row.on.checked = state.active.has(name);
      row.box.classList.toggle("on", row.on.checked);
      row.number.value = short(value);
      row.number.classList.remove("bad");
      row.slider.value = Math.round(1000 * Math.log(Math.min(Math.max(value, low), high) / low) / Math.log(high / low));
      row.slider.setAttribute("aria-valuetext", `${short(value)} ${device(name).unit}`);
    }
    at("board").querySelector("select").value = state.board;
    at("target").value = state.chart;
    at("log").checked = state.log;
    at("band").checked = state.band;
    for (const button of at("gallery").children) button.setAttribute("aria-pressed", button.value === current.architecture);
    at("asking").checked = state.asking;
    at("wish").querySelector("div").hidden = !state.asking;
    at("least").value = short(100 * state.least);
    at("cheapest").value = state.cheapest;
    at("accuracy").children[0].textContent = percent(current.accuracy);
    at("accuracy").children[1].textContent =
      `${data.accuracy_is} in ${WORDS[state.precision]}, ${tenth(current.interval[0])} to ${tenth(current.interval[1])}`;
    at("status").textContent = sentence();
    at("status").classList.toggle("missed", !current.feasible);
    at("costs").replaceChildren(...view.devices.map(known => {
      const limit = state.active.has(known.name) ? state.budgets[known.name] : null, cost = current.costs[known.name];
      const last = element("td");
      if (limit !== null) {
        const meter = element("span", "", {class: "meter", title: `${Math.round(100 * cost / limit)} % of the budget`});
        meter.append(element("i", "", {style: `width: ${Math.min(100, 100 * cost / limit)}%`}));
        last.append(meter, `of ${short(limit)} ${known.unit} `);
      }
      last.append([known.kind, apart(known)].filter(Boolean).join(", "));
      const made = line(known.name, `${short(cost)} ${known.unit}`, last);
      made.title = known.provenance;
      if (limit !== null && cost > limit) made.className = "over";
      return made;
    }));
    at("key").textContent = current.architecture;
    picture(current.row);
    at("words").textContent = view.words[current.row];
    at("pin").disabled = state.pins.length >= PINS || state.pins.some(pin => pin.architecture === current.architecture);
    at("link").href = `#${query()}`;
    compare();
    marks();
  }

  // events ---------------------------------------------------------------------------------------------------------------

  at("target").addEventListener("change", () => { state.chart = at("target").value; draw(); show(); });
  at("log").addEventListener("change", () => { state.log = at("log").checked; draw(); show(); });
  at("band").addEventListener("change", () => { state.band = at("band").checked; draw(); show(); });
  at("knee").addEventListener("click", () => move(state.chart, device(state.chart).knee));
  at("pin").addEventListener("click", () => { state.pins.push(current); show(); });
  at("asking").addEventListener("change", () => {
    state.least = Math.floor(1e4 * current.accuracy) / 1e4;
    ask(at("asking").checked, at("asking").checked ? state.chart : state.cheapest);
  });
  at("least").addEventListener("change", () => {
    const value = Number(at("least").value.replace(",", ".").replace("%", "")) / 100;
    at("least").classList.toggle("bad", !(value >= 0 && value <= 1));
    if (value >= 0 && value <= 1) { state.least = value; show(); }
  });
  at("cheapest").addEventListener("change", () => ask(true, at("cheapest").value));
  at("board").querySelector("select").addEventListener("change", event => {
    const board = data.boards.find(([title]) => title === event.target.value);
    state.board = event.target.value;
    for (const name of ["ram_kb", "flash_kb"]) {
      if (board) { state.budgets[name] = board[1][name]; state.active.add(name); } else state.active.delete(name);
    }
    show();
  });
  window.addEventListener("hashchange", () => { state.pins = []; state.names = {}; for (const name of Object.keys(kept)) delete kept[name]; follow(location.hash.slice(1)); build(); show(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { draw(); show(); });

  const names = Object.keys(data.views);
  at("precisions").hidden = names.length < 2;
  for (const name of names) {
    const button = element("button", WORDS[name], {type: "button", value: name});
    button.addEventListener("click", () => { open(name); build(); show(); });
    at("precisions").append(button);
  }
  at("about").textContent = "Drag a budget: the star is the network generated for it. Switch on several budgets, and it meets all of them.";
  follow(location.hash.slice(1));
  build();
  show();

  const of = options => {
    const name = options.precision ?? names[0];
    if (!data.views[name]) throw new Error(`unknown precision '${name}'; choose from: ${names.join(", ")}`);
    return data.views[name];
  };
  const plain = ({row, ...answer}) => answer;
  window.explorer = {
    study: data.study, generator: data.generator, precisions: names,
    generate: (budget, options = {}) => plain(Selection.generate(of(options), budget)),
    cheapest: (accuracy, device, budget = {}, options = {}) => plain(Selection.cheapest(of(options), accuracy, device, budget)),
  };
  document.documentElement.dataset.ready = "true";
})();
