"use strict";
// Reading a model's answers: shards are loaded one by one, searched and filtered here.
(() => {
  const { element, clean, readState, writeState, load, download } = window.evalsuite;
  const box = document.getElementById("explorer");
  const slug = box.dataset.slug;
  const byId = (id) => document.getElementById(id);
  const PAGE = 20;
  let tasks = [];
  let rows = [];
  let current = null;
  let turn = 0;

  const wrong = (row) => row.s === undefined || (current.lower ? row.s > 0 : row.s < 1);
  const text = (row) => [row.i, row.q, row.a, row.c, row.t, row.d, row.o, row.j, row.h, ...(row.v ?? [])].filter(Boolean).join("\n").toLowerCase();

  function mark(row) {
    if (row.s === undefined) return element("span", { class: "chip warn" }, `no score: ${clean(row.w ?? "")}`);
    const shown = current.unit === "share" && (row.s === 0 || row.s === 1) ? ((row.s === 1) !== current.lower ? "right" : "wrong") : null;
    const kind = shown === "right" ? "chip good" : shown === "wrong" ? "chip bad" : "chip";
    return element("span", { class: kind }, `${shown ? `${shown}: ` : ""}${clean(current.metric)} ${Number(row.s.toPrecision(4))}`);
  }

  function block(name, value, kind = "") {
    if (value === undefined || value === null || value === "") return null;
    return element("div", { class: kind }, element("p", { class: "label" }, name), element("pre", { dir: "auto", tabindex: value.length > 1500 ? 0 : null }, value));
  }

  function item(row) {
    const again = row.r ? `, repeat ${row.r + 1}` : "";
    const made = element("article", { class: "item", "data-sample": row.i });
    made.append(element("p", {}, element("span", { class: "id" }, clean(row.i) + again), mark(row), row.f === "length" ? element("span", { class: "chip warn" }, "cut at the token limit") : null));
    const parts = [
      block("the exact prompt", row.q, "asked"), block("target", row.t), block("reasoning", row.c), block("answer", row.a === "" ? "(said nothing)" : row.a), block("other completions", row.o),
      block("what the scorer noted", row.d), block("the judge's replies", row.h), block("verdicts", row.v?.join("\n")), block("the judge's words", row.j),
      block("other scores", row.x && Object.entries(row.x).map(([k, v]) => `${k} ${v}`).join(", ")),
    ];
    made.append(...parts.filter(Boolean));
    return made;
  }

  function chosen() {
    const state = readState();
    const wanted = (state.get("find") ?? "").toLowerCase().trim();
    return rows.filter((row) => (state.get("wrong") !== "1" || wrong(row)) && (!state.get("sample") || row.i === state.get("sample"))
      && (wanted === "" || text(row).includes(wanted)));
  }

  function draw() {
    const state = readState();
    const found = chosen();
    const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
    const page = Math.min(last, Math.max(0, Number(state.get("page") ?? 1) - 1 || 0));
    byId("find").value = state.get("find") ?? "";
    byId("wrong").checked = state.get("wrong") === "1";
    byId("samples").replaceChildren(...found.slice(page * PAGE, page * PAGE + PAGE).map(item));
    byId("count").textContent = `${found.length} of ${rows.length} answers${last ? `, page ${page + 1} of ${last + 1}` : ""}`;
    byId("before").disabled = page === 0;
    byId("after").disabled = page >= last;
    byId("before").dataset.page = String(page);
    byId("after").dataset.page = String(page + 2);
    byId("one").hidden = !state.get("sample");
    box.dataset.drawn = `${current.task}:${found.length}`;
  }

  async function open() {
    const mine = ++turn;
    const asked = readState().get("task");
    const next = tasks.find((t) => t.task === asked) ?? tasks[0];
    if (!next) return;
    byId("task").value = next.task;
    if (next !== current) {
      const parts = [];
      for (let k = 0; k < next.shards.length; k += 1) {
        byId("count").textContent = `reading part ${k + 1} of ${next.shards.length} …`;
        parts.push(...(await load(`rows:${slug}:${next.slug}:${k}`, `samples/${slug}/${next.slug}-${k}.js`)));
        if (mine !== turn) return; // another task was asked for meanwhile
      }
      current = next;
      rows = parts;
    }
    draw();
  }

  function set(changes) {
    writeState({ page: null, ...changes });
    open().catch(fail);
  }
  const fail = (error) => { byId("count").textContent = error.message; };

  byId("task").addEventListener("change", () => set({ task: byId("task").value, sample: null }));
  byId("find").addEventListener("input", () => set({ find: byId("find").value }));
  byId("wrong").addEventListener("change", () => set({ wrong: byId("wrong").checked }));
  byId("one").addEventListener("click", () => set({ sample: null }));
  for (const id of ["before", "after"]) byId(id).addEventListener("click", () => { set({ page: byId(id).dataset.page }); byId("find").scrollIntoView(); });
  for (const kind of ["csv", "json"]) byId(`rows-${kind}`).addEventListener("click", () => download(`${slug}-${current?.slug ?? ""}`, chosen().map((row) => ({
    sample: row.i, repeat: row.r ?? 0, prompt: row.q, answer: row.a, reasoning: row.c, target: row.t, score: row.s, missing: row.w, details: row.d, verdicts: row.v?.join("\n"), judge: row.j ?? row.h,
  })), kind));
  addEventListener("hashchange", () => open().catch(fail));
  load(`index:${slug}`, `samples/${slug}/index.js`).then((index) => {
    tasks = index;
    byId("task").replaceChildren(...tasks.map((t) => element("option", { value: t.task }, clean(`${t.task} (${t.n})`))));
    return open();
  }).then(() => { if (readState().get("task")) box.scrollIntoView(); }).catch(fail);
})();
