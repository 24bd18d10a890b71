"use strict";
// Tables that came with the page: sorted by their heads, filtered by a word, downloaded as they are shown.
(() => {
  const { readState, writeState, download, say } = window.evalsuite;

  for (const table of document.querySelectorAll("table.sortable")) {
    const name = table.id;
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const original = [...body.rows];
    const words = document.querySelector(`input[data-filter="${name}"]`);
    const valueOf = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();

    function sort(column, order) {
      for (const head of heads) head.removeAttribute("aria-sort");
      if (column < 0) return body.append(...original);
      heads[column].setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...original].sort((a, b) => {
        const [x, y] = [valueOf(a, column), valueOf(b, column)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const [p, q] = [Number(x), Number(y)];
        return sign * (Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : p - q);
      });
      return body.append(...rows);
    }

    function filter() {
      const wanted = (words?.value ?? "").toLowerCase().trim();
      let left = 0;
      for (const row of original) {
        row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
        left += !row.hidden;
      }
      if (words) say(`${left} of ${original.length} rows`);
    }

    function apply() {
      const state = readState();
      const [column, order] = (state.get(`sort-${name}`) ?? "").split(".");
      const number = heads.findIndex((h, i) => String(i) === column);
      sort(number, order === "descending" ? "descending" : "ascending");
      const folded = table.closest("details:not([open])");
      if (folded && (number >= 0 || state.get(`q-${name}`))) folded.open = true; // a link to a view shows the view
      if (words) {
        words.value = state.get(`q-${name}`) ?? "";
        filter();
      }
    }

    heads.forEach((head, column) => {
      head.querySelector("button")?.addEventListener("click", () => {
        const first = head.dataset.first ?? "descending";
        const other = first === "descending" ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        writeState({ [`sort-${name}`]: `${column}.${order}` });
        sort(column, order);
      });
    });
    words?.addEventListener("input", () => {
      writeState({ [`q-${name}`]: words.value });
      filter();
    });
    for (const button of document.querySelectorAll(`button[data-table="${name}"]`)) {
      button.addEventListener("click", () => {
        const names = heads.map((h) => h.dataset.name ?? h.textContent.trim());
        const rows = [...body.rows].filter((row) => !row.hidden).map((row) =>
          Object.fromEntries(names.map((n, i) => {
            const cell = row.cells[i];
            const number = cell.dataset.sort !== undefined && cell.dataset.sort !== "" ? Number(cell.dataset.sort) : NaN;
            return [n, Number.isNaN(number) ? cell.textContent.replace(/\s+/g, " ").trim() : number];
          })));
        download(document.title.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 60), rows, button.dataset.kind);
      });
    }
    addEventListener("hashchange", apply);
    apply();
  }
  document.body.dataset.tables = "ready";
})();
