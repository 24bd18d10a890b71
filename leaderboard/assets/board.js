"use strict";
// The index: which rows and columns are shown, in what order, and which ranks the intervals allow.
(() => {
  const { element, clean, readState, writeState, valueText, boundsText, download, say, get } = window.evalsuite;
  const board = get("board");
  const { columns, rows } = board;
  const STEP = 50; // rows shown until all are asked for
  const CELLS = 400; // figures drawn before the reader sees them: more than a screen holds
  const UNVERIFIED = 1, OTHER = 2, DIFFERS = 4, UNHEALTHY = 8, SUMMED = 16;
  const key = (c) => [c.slug, c.metric, c.version].map(encodeURIComponent).join("~");
  const keys = columns.map(key);
  const byId = (id) => document.getElementById(id);
  const SIZES = [["under 1B", 0, 1e9], ["1B to 5B", 1e9, 5e9], ["5B to 15B", 5e9, 15e9], ["15B to 50B", 15e9, 50e9], ["50B and more", 50e9, Infinity]];
  const sizeOf = (row) => (row.size === null ? "not known" : SIZES.find(([, low, high]) => row.size >= low && row.size < high)[0]);
  const sizeText = (size) => (size >= 1e9 ? `${Number((size / 1e9).toPrecision(3))}B` : `${Number((size / 1e6).toPrecision(3))}M`);

  // A board of many tasks opens with two of each family; all are one click away.
  function usual() {
    if (columns.length <= 14) return new Set(columns.keys());
    const seen = {};
    return new Set([...columns.keys()].filter((i) => (seen[columns[i].family] = (seen[columns[i].family] ?? 0) + 1) <= 2));
  }

  const ranks = columns.map((column, c) => {
    const ends = rows.map((row) => row.cells[c]).filter((cell) => cell && cell[1] !== null && cell[2] !== null);
    const sign = column.lower ? -1 : 1;
    const lows = ends.map((e) => (sign > 0 ? e[1] : -e[2])).sort((a, b) => a - b);
    const highs = ends.map((e) => (sign > 0 ? e[2] : -e[1])).sort((a, b) => a - b);
    const upTo = (list, x, inclusive) => {
      let [from, to] = [0, list.length];
      while (from < to) {
        const middle = (from + to) >> 1;
        if (inclusive ? list[middle] <= x : list[middle] < x) from = middle + 1;
        else to = middle;
      }
      return from;
    };
    return (cell) => {
      if (!cell || cell[1] === null || cell[2] === null) return null;
      const [low, high] = sign > 0 ? [cell[1], cell[2]] : [-cell[2], -cell[1]];
      return [1 + lows.length - upTo(lows, high, true), highs.length - upTo(highs, low, false)];
    };
  });
  const rankText = (rank) => (rank === null ? "" : rank[0] === rank[1] ? `${rank[0]}` : `${rank[0]}–${rank[1]}`);
  const axes = columns.map((column, c) => {
    if (column.unit === "share") return [0, 10000];
    const ends = rows.flatMap((row) => (row.cells[c] ? row.cells[c].slice(0, 3).filter((x) => x !== null) : []));
    return [Math.min(0, ...ends), Math.max(0, ...ends) * 1.05 || 1];
  });
  const chains = rows.map((row, i) => {
    const seen = [i];
    while (rows[seen[0]].parent !== null && !seen.includes(rows[seen[0]].parent)) seen.unshift(rows[seen[0]].parent);
    return seen;
  });
  const words = rows.map((row) => [row.name, row.base, row.method, row.origin ?? "", row.size ? sizeText(row.size) : ""].join(" ").toLowerCase());

  let state = {};
  let picked = [];
  let turn = 0;

  function read() {
    const given = readState();
    const chosen = given.get("cols");
    const asked = chosen === "all" ? [...keys.keys()] : (chosen ?? "").split(",").map((k) => keys.indexOf(k)).filter((i) => i >= 0);
    const sort = given.get("sort") ?? "";
    const known = ["name", "date", "lineage"].includes(sort) || keys.includes(sort);
    state = {
      cols: chosen === null || asked.length === 0 ? usual() : new Set(asked),
      sort: known ? sort : "lineage",
      down: given.get("dir") === "worst",
      q: given.get("q") ?? "",
      base: given.get("base") ?? "",
      method: given.get("method") ?? "",
      size: given.get("size") ?? "",
      verified: given.get("verified") === "1",
      all: given.get("rows") === "all",
    };
    picked = (given.get("pick") ?? "").split(",").map((slug) => rows.findIndex((r) => r.slug === slug)).filter((i) => i >= 0).slice(-2);
  }

  function write() {
    const same = (a, b) => a.size === b.size && [...a].every((x) => b.has(x));
    const chosen = state.cols.size === columns.length ? "all" : [...state.cols].sort((a, b) => a - b).map((i) => keys[i]).join(",");
    writeState({
      cols: same(state.cols, usual()) ? null : chosen,
      sort: state.sort === "lineage" ? null : state.sort,
      dir: state.down ? "worst" : null,
      q: state.q, base: state.base, method: state.method, size: state.size,
      verified: state.verified, rows: state.all ? "all" : null,
    });
  }

  function lineageOrder(list) {
    const inside = new Set(list);
    const children = new Map();
    for (const i of list) {
      const parent = rows[i].parent;
      const above = parent !== null && inside.has(parent) && chains[i][0] !== i ? parent : -1;
      children.set(above, [...(children.get(above) ?? []), i]);
    }
    const order = [];
    const depth = new Map();
    const walk = (above, level) => {
      for (const i of children.get(above) ?? []) {
        if (depth.has(i)) continue;
        depth.set(i, level);
        order.push(i);
        walk(i, level + 1);
      }
    };
    walk(-1, 0);
    for (const i of list) if (!depth.has(i)) { depth.set(i, 0); order.push(i); } // a circle of parents
    return { order, depth };
  }

  function chosenRows() {
    const wanted = state.q.toLowerCase().trim().split(/\s+/).filter(Boolean);
    const list = [...rows.keys()].filter((i) => {
      const row = rows[i];
      return (!state.base || row.base === state.base) && (!state.method || row.method === state.method)
        && (!state.size || sizeOf(row) === state.size) && (!state.verified || row.status === "verified")
        && wanted.every((w) => words[i].includes(w));
    });
    if (state.sort === "lineage") {
      const { order, depth } = lineageOrder(list);
      return { order: state.down ? order.reverse() : order, depth, groups: null };
    }
    const c = keys.indexOf(state.sort);
    const text = state.sort === "name" ? (i) => rows[i].name : (i) => rows[i].date;
    const turn = state.down ? -1 : 1;
    if (c < 0) {
      const ahead = state.sort === "date" ? -1 : 1;
      return { order: list.sort((a, b) => turn * ahead * (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : a - b)), depth: null, groups: null };
    }
    const better = columns[c].lower ? 1 : -1;
    const value = (i) => (rows[i].cells[c] ? rows[i].cells[c][0] : null);
    const have = list.filter((i) => typeof value(i) === "number");
    const rest = list.filter((i) => typeof value(i) !== "number");
    have.sort((a, b) => better * (value(a) - value(b)) || a - b);
    const groups = new Map();
    let first = null, number = -1;
    for (const i of have) {
      const [, low, high] = rows[i].cells[c];
      const apart = first === null || low === null || (columns[c].lower ? low > first[2] : high < first[1]);
      if (apart) { first = rows[i].cells[c]; number += 1; }
      groups.set(i, number);
    }
    if (state.down) have.reverse();
    return { order: [...have, ...rest], depth: null, groups };
  }

  function headCells() {
    const shown = [...state.cols].sort((a, b) => a - b);
    const families = element("tr", {}, element("td", { class: "corner" }), element("td"));
    for (let i = 0; i < shown.length; ) {
      let j = i;
      while (j < shown.length && columns[shown[j]].family === columns[shown[i]].family) j += 1;
      families.append(element("th", { scope: "colgroup", colspan: j - i, class: "family" }, clean(columns[shown[i]].family.replaceAll("_", " "))));
      i = j;
    }
    const names = element("tr");
    const head = (id, label, extra, ...more) => {
      const on = state.sort === id;
      const lower = columns[keys.indexOf(id)]?.lower;
      const best = lower || id === "name" ? "ascending" : "descending";
      const other = best === "ascending" ? "descending" : "ascending";
      const button = element("button", { type: "button", "data-sort": id }, label);
      return element("th", { scope: "col", class: extra, "aria-sort": on ? (state.down ? other : best) : null }, button, ...more);
    };
    names.append(head("name", "model", "first"), element("th", { scope: "col", class: "num place" }, "rank"));
    for (const i of shown) {
      const c = columns[i];
      const about = clean(`${c.metric}${c.lower ? " ↓" : ""}${c.version === null ? "" : `, v${c.version}`}`);
      const link = element("a", { href: `tasks/${encodeURIComponent(c.slug)}.html`, title: `the page of ${clean(c.task)}` }, "about");
      const kind = c.raw === null ? "num" : "num controlled";
      names.append(head(keys[i], clean(c.task), kind, element("small", { title: c.lower ? "lower is better" : "higher is better" }, about), element("small", {}, link)));
    }
    return element("thead", {}, families, names);
  }

  function nameCell(i) {
    const row = rows[i];
    const cell = element("th", { scope: "row", class: "first" });
    cell.append(element("span", { class: "arrow", "aria-hidden": "true" }, "↳ "));
    cell.append(element("a", { href: `models/${encodeURIComponent(row.slug)}.html` }, clean(row.name)));
    if (row.status !== "verified") cell.append(element("span", { class: `chip ${row.status === "does not match" ? "bad" : "open"}` }, row.status));
    if (row.origin) cell.append(element("span", { class: "chip open", title: "read from another harness's log" }, clean(row.origin)));
    if (row.warnings) cell.append(element("span", { class: "chip warn", title: "the model's page says which" }, `${row.warnings} warning${row.warnings > 1 ? "s" : ""}`));
    const chain = chains[i].length > 1 ? chains[i].map((k) => rows[k].name) : row.chain ?? [];
    const about = [row.method, row.size === null ? null : sizeText(row.size)].filter(Boolean).join(", ");
    if (chain.length > 1) cell.append(element("small", { class: "chain" }, element("span", { class: "hidden" }, "lineage: "), clean(chain.join(" → "))));
    const box = element("input", { type: "checkbox", "data-pick": i, "aria-label": `compare ${clean(row.name)}` });
    cell.append(element("small", {}, `${clean(about)} · `, element("label", { class: "pick" }, box, "compare")));
    return cell;
  }

  function figureCell(i, c) {
    const cell = rows[i].cells[c];
    const column = columns[c];
    if (!cell) return element("td", { class: "num none" }, "–");
    const [value, low, high] = cell;
    const flags = cell[4] ?? 0;
    const n = cell[3] || column.n;
    const td = element("td", { class: column.raw === null ? "num" : "num controlled" });
    const kind = flags & UNVERIFIED ? "unverified" : flags & SUMMED ? "summed" : null;
    const mark = kind && element("span", { class: "hidden" }, kind === "summed" ? "re-aggregated: " : "unverified: ");
    td.append(element("b", { class: kind, title: kind && (kind === "summed" ? "re-aggregated" : "unverified") }, mark, valueText(value, column.unit)));
    if (value === null) {
      td.append(element("small", {}, `n=${n}`));
      return td;
    }
    const rank = ranks[c](cell);
    td.append(element("small", {}, `${boundsText(low, high, column.unit)}${rank ? `\nrank ${rankText(rank)}, n=${n}` : `\nn=${n}`}`));
    if (low !== null && high !== null) {
      const [bottom, top] = axes[c];
      const place = (x) => `${Math.max(0, Math.min(100, (100 * (x - bottom)) / (top - bottom))).toFixed(1)}%`;
      const axis = element("i", { class: "axis", "aria-hidden": "true" });
      axis.style.setProperty("--from", place(low));
      axis.style.setProperty("--to", place(high));
      axis.style.setProperty("--at", place(value));
      td.append(axis);
    }
    const said = [[DIFFERS, "does not match its samples", "bad"], [OTHER, "other samples", "warn"], [UNHEALTHY, "health", "warn"]];
    for (const [flag, text, kind] of said) if (flags & flag) td.append(element("small", { class: kind }, text));
    return td;
  }

  // Rows are made once for the columns that are chosen, then only moved: making cells costs far more than sorting them.
  const made = new Map();
  let madeFor = "";

  function rowOf(i, shown) {
    if (!made.has(i)) made.set(i, element("tr", {}, nameCell(i), element("td", { class: "num place" }), ...shown.map((c) => figureCell(i, c))));
    return made.get(i);
  }

  // What a row says of its place in this order: indent, band, rank, and which figure the order is by.
  function settle(tr, i, { level, group, opens, size, rank, column }) {
    tr.className = group === undefined ? "" : `group${group % 2}${opens ? " opens" : ""}${size > 1 ? " tied" : ""}`;
    tr.cells[0].className = `first depth${Math.min(level, 5)}`;
    tr.cells[0].querySelector("input").checked = picked.includes(i);
    tr.cells[1].replaceChildren(rank ? rankText(rank) : "–");
    if (size > 1) tr.cells[1].append(element("small", { title: "its interval overlaps that of the first of this group" }, `tied, ${size}`));
    tr.querySelector("td.on")?.classList.remove("on");
    if (column >= 0) tr.cells[2 + column].classList.add("on");
    return tr;
  }

  function draw() {
    const { order, depth, groups } = chosenRows();
    const shown = [...state.cols].sort((a, b) => a - b);
    if (madeFor !== shown.join()) {
      made.clear();
      madeFor = shown.join();
    }
    const part = state.all ? order : order.slice(0, STEP);
    const sorted = keys.indexOf(state.sort);
    const body = element("tbody");
    const sizes = new Map();
    for (const i of part) if (groups?.has(i)) sizes.set(groups.get(i), (sizes.get(groups.get(i)) ?? 0) + 1);
    const line = (i, place) => {
      const group = groups?.get(i);
      return settle(rowOf(i, shown), i, {
        level: depth?.get(i) ?? 0,
        group,
        opens: group !== undefined && groups.get(part[place - 1]) !== group,
        size: sizes.get(group) ?? 0,
        rank: sorted < 0 ? null : ranks[sorted](rows[i].cells[sorted]),
        column: shown.indexOf(sorted),
      });
    };
    // A screen of rows stands at once; the rest follow while the reader looks.
    const mine = ++turn;
    const step = Math.max(8, Math.ceil(CELLS / (shown.length + 2)));
    const append = (from) => {
      if (mine !== turn) return;
      body.append(...part.slice(from, from + step).map((i, k) => line(i, from + k)));
      if (from + step < part.length) setTimeout(append, 0, from + step);
      else document.body.dataset.whole = String(mine);
    };
    append(0);
    const table = byId("board");
    table.style.setProperty("--count", shown.length);
    const widths = element("colgroup", {}, element("col", { class: "name" }), element("col", { class: "place" }), ...shown.map(() => element("col")));
    table.replaceChildren(table.caption, widths, headCells(), body);
    byId("more").hidden = part.length === order.length;
    byId("more").textContent = `Show all ${order.length} models`;
    say(`${order.length} of ${rows.length} models, ${shown.length} of ${columns.length} figures`);
    document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
    return order;
  }

  function fill() {
    byId("q").value = state.q;
    byId("verified").checked = state.verified;
    for (const name of ["base", "method", "size"]) byId(name).value = state[name];
    byId("order").value = ["lineage", "name", "date"].includes(state.sort) ? state.sort : "figure";
    for (const box of document.querySelectorAll("#columns input")) box.checked = state.cols.has(Number(box.dataset.column));
    offer();
  }

  function update(changes) {
    Object.assign(state, changes);
    write();
    fill();
    draw();
  }

  function facets() {
    const options = {
      base: [...new Set(rows.map((r) => r.base))].sort(),
      method: [...new Set(rows.map((r) => r.method))].sort(),
      size: [...SIZES.map(([name]) => name), "not known"].filter((name) => rows.some((r) => sizeOf(r) === name)),
    };
    for (const [name, values] of Object.entries(options)) {
      const select = byId(name);
      for (const value of values) select.append(element("option", { value }, clean(value)));
      select.addEventListener("change", () => update({ [name]: select.value }));
    }
    const panel = byId("columns");
    for (const family of [...new Set(columns.map((c) => c.family))]) {
      const group = element("fieldset", {}, element("legend", {}, clean(family.replaceAll("_", " "))));
      columns.forEach((c, i) => {
        if (c.family !== family) return;
        const box = element("input", { type: "checkbox", "data-column": i });
        box.addEventListener("change", () => {
          const cols = new Set(state.cols);
          if (box.checked) cols.add(i);
          else cols.delete(i);
          update({ cols: cols.size ? cols : usual() });
        });
        group.append(element("label", {}, box, clean(`${c.task} ${c.metric}`)));
      });
      panel.append(group);
    }
  }

  function viewRows() {
    const shown = [...state.cols].sort((a, b) => a - b);
    return chosenRows().order.map((i) => {
      const row = rows[i];
      const line = { run: row.name, base: row.base, method: row.method, size: row.size, status: row.status };
      for (const c of shown) {
        const cell = row.cells[c];
        const scale = columns[c].unit === "share" ? 1e4 : 1;
        const name = `${columns[c].task} ${columns[c].metric}`;
        const of = (x) => (cell && x !== null ? x / scale : null);
        const rank = ranks[c](cell);
        Object.assign(line, { [name]: of(cell?.[0]), [`${name} low`]: of(cell?.[1]), [`${name} high`]: of(cell?.[2]) });
        Object.assign(line, { [`${name} n`]: cell ? cell[3] || columns[c].n : null, [`${name} rank`]: rankText(rank) });
      }
      return line;
    });
  }

  function pick(i, on) {
    picked = on ? [...picked.filter((k) => k !== i), i].slice(-2) : picked.filter((k) => k !== i);
    writeState({ pick: picked.map((k) => rows[k].slug).join(",") });
    offer();
  }

  function offer() {
    for (const box of document.querySelectorAll("[data-pick]")) box.checked = picked.includes(Number(box.dataset.pick));
    const link = byId("compare");
    link.hidden = picked.length !== 2;
    if (picked.length === 2) {
      const [a, b] = picked.map((k) => rows[k]);
      link.href = `compare.html#${new URLSearchParams({ a: a.name, b: b.name })}`;
      link.textContent = clean(`Compare ${a.name} with ${b.name}`);
    }
  }

  facets();
  byId("q").addEventListener("input", () => update({ q: byId("q").value }));
  byId("verified").addEventListener("change", () => update({ verified: byId("verified").checked }));
  byId("order").addEventListener("change", () => byId("order").value !== "figure" && update({ sort: byId("order").value, down: false }));
  byId("more").addEventListener("click", () => update({ all: true }));
  byId("every").addEventListener("click", () => update({ cols: new Set(columns.keys()) }));
  byId("few").addEventListener("click", () => update({ cols: usual() }));
  byId("reset").addEventListener("click", () => {
    history.replaceState(null, "", location.pathname + location.search);
    read();
    fill();
    draw();
  });
  for (const kind of ["csv", "json"]) byId(`view-${kind}`).addEventListener("click", () => download("leaderboard", viewRows(), kind));
  byId("board").addEventListener("click", (event) => {
    const id = event.target.closest("button[data-sort]")?.dataset.sort;
    if (id === undefined) return;
    update(state.sort === id ? { down: !state.down } : { sort: id, down: false });
    document.querySelector(`button[data-sort="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });
  });
  byId("board").addEventListener("change", (event) => {
    if ("pick" in event.target.dataset) pick(Number(event.target.dataset.pick), event.target.checked);
  });
  addEventListener("hashchange", () => { read(); fill(); draw(); });
  read();
  fill();
  draw();
})();
