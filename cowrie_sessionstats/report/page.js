"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const wide = matchMedia("(max-width: 40rem)");
  const darkWanted = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("scheme");
  let dark = darkWanted.matches;

  // ---- plots: drawn by Vega, whose expressions are interpreted (ast), so that none is evaluated
  const fitted = (chart) => {
    if (!wide.matches) return chart;
    // Beside long labels nothing would be left of a plot on a telephone.
    const config = {axis: {labelLimit: 110, titleLimit: 200}, legend: {labelLimit: 200, columns: 1}};
    return {...chart, config: {...(chart.config || {}), ...config}};
  };
  const draw = async () => {
    const base = dark ? data.dark : data.light;
    for (const [name, chart] of Object.entries(data.charts)) {
      const place = document.getElementById(`${name}-plot`);
      if (!place) continue;
      const spec = fitted(chart);
      const axis = {...base.axis, ...((spec.config || {}).axis || {})};
      const legend = {...base.legend, ...((spec.config || {}).legend || {})};
      const config = {...base, axis, legend};
      try {
        await vegaEmbed(place, {...spec, config}, {
          ast: true, logLevel: 1, actions: false, defaultStyle: false, renderer: "canvas",
          tooltip: {disableDefaultStyle: true},
        });
      } catch (error) {
        place.textContent = `The plot could not be drawn: ${error.message}`;
      }
    }
    root.dataset.drawn = dark ? "dark" : "light";
  };
  const paint = () => {
    root.dataset.scheme = dark ? "dark" : "light";
    button.textContent = dark ? "Light" : "Dark";
    draw();
  };
  button.addEventListener("click", () => { dark = !dark; paint(); });
  darkWanted.addEventListener("change", (event) => { dark = event.matches; paint(); });
  wide.addEventListener("change", draw);

  // ---- tables: sort by a click on the heading, filter by what is typed
  const value = (cell) => ("value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent);
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number") return 1;
    if (typeof b === "number") return -1;
    return a < b ? -1 : a > b ? 1 : 0;
  };
  for (const heading of document.querySelectorAll("th > button")) {
    heading.addEventListener("click", () => {
      const th = heading.parentElement;
      const place = th.cellIndex;
      const first = th.classList.contains("number") ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      const order = th.getAttribute("aria-sort") === first ? other : first;
      for (const each of th.parentElement.children) each.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", order);
      const body = th.closest("table").tBodies[0];
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [value(row.cells[place]), row]);
      rows.sort((a, b) => sign * compare(a[0], b[0]));
      body.append(...rows.map(([, row]) => row));
    });
  }
  for (const input of document.querySelectorAll("input[data-table]")) {
    const table = document.getElementById(input.dataset.table);
    const count = document.getElementById(input.dataset.table.replace(/table$/, "count"));
    const whole = count.textContent;
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        if (!row.hidden) shown += 1;
      }
      count.textContent = wanted ? `${shown} of ${table.tBodies[0].rows.length} rows` : whole;
    });
  }

  // ---- a session's record
  const dialog = document.getElementById("record");
  const keys = document.getElementById("record-keys");
  const described = (known) => {
    if (!Array.isArray(known)) {
      const dd = document.createElement("dd");
      dd.textContent = String(known);
      return dd;
    }
    const dd = document.createElement("dd");
    const list = document.createElement("ol");
    for (const each of known) {
      const item = document.createElement("li");
      item.textContent = String(each);
      list.append(item);
    }
    dd.append(list);
    return dd;
  };
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("button.record");
    if (!opener) return;
    const records = opener.dataset.records.split(" ").map((number) => data.records[Number(number)]);
    document.getElementById("record-title").textContent = `Session ${opener.textContent}`;
    keys.replaceChildren();
    for (const [key, value] of records.flatMap((record) => Object.entries(record))) {
      const dt = document.createElement("dt");
      dt.textContent = key;
      keys.append(dt, described(value));
    }
    dialog.showModal();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  paint();
})();
