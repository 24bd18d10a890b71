"use strict";
// Draws the figures in the reader's colours, filters samples, sorts leaderboards. The page reads without it.
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const element = document.getElementById("figures");
  const figures = element ? JSON.parse(element.textContent) : {};

  // On a phone a forest's labels stand above their rows, so that the rows have the width to themselves.
  const narrow = matchMedia("(max-width: 40rem)");
  const LABEL = 14;

  function fitted(layout) {
    const labels = layout.yaxis?.ticktext;
    if (!narrow.matches || !labels) return layout;
    const height = layout.height + LABEL * labels.length;
    const row = (height - layout.margin.t - layout.margin.b) / labels.length;
    const annotations = labels.map((label, i) => ({
      text: label.replace("<br>", " "), x: 0, xref: "paper", xanchor: "left", align: "left", showarrow: false,
      y: layout.yaxis.tickvals[i], yanchor: "bottom", yshift: row / 2 - LABEL - 2, font: { size: 11 },
    }));
    const xaxis = { ...layout.xaxis, tickangle: 0, nticks: 5 };
    return { ...layout, height, annotations, xaxis, yaxis: { ...layout.yaxis, showticklabels: false } };
  }

  function themed(layout) {
    const grid = { gridcolor: css("--line"), linecolor: css("--line"), zerolinecolor: css("--faint") };
    return {
      ...layout,
      xaxis: { ...layout.xaxis, ...grid },
      yaxis: { ...layout.yaxis, ...grid },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: css("--sans"), size: 12.5, color: css("--soft") },
      hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") }, align: "left" },
    };
  }

  function draw() {
    for (const [id, figure] of Object.entries(figures)) {
      const layout = themed(fitted(figure.layout));
      document.getElementById(id).style.height = `${layout.height}px`;
      Plotly.react(id, figure.data, layout, { displayModeBar: false, responsive: true });
    }
    document.body.dataset.drawn = Object.keys(figures).length;
  }

  if (window.Plotly) {
    draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    narrow.addEventListener("change", draw);
  }

  const buttons = [...document.querySelectorAll("button[data-kind]")];
  const words = document.getElementById("words");
  const items = [...document.querySelectorAll(".item")];
  const text = new Map();

  function filter() {
    const kind = buttons.find((b) => b.getAttribute("aria-pressed") === "true")?.dataset.kind ?? "all";
    const wanted = (words?.value ?? "").toLowerCase().trim();
    for (const item of items) {
      if (wanted && !text.has(item)) text.set(item, item.textContent.toLowerCase());
      item.hidden = (kind !== "all" && item.dataset.kind !== kind) || (wanted !== "" && !text.get(item).includes(wanted));
    }
    for (const task of document.querySelectorAll("details.samples")) {
      const left = task.querySelectorAll(".item:not([hidden])").length;
      task.hidden = left === 0;
      task.querySelector(".left").textContent = left;
      if (wanted) task.open = left > 0;
    }
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      filter();
    });
  }
  if (words && "rows" in words.dataset) {
    words.addEventListener("input", () => {
      const wanted = words.value.toLowerCase().trim();
      for (const row of document.querySelectorAll("table.board tbody tr")) {
        row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
      }
    });
  } else {
    words?.addEventListener("input", filter);
  }

  // A link to a sample opens the task that holds it.
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const task = target?.closest("details.task");
    if (!task) return;
    task.open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  reveal();

  for (const table of document.querySelectorAll("table.board")) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    heads.forEach((head, column) => {
      head.querySelector("button")?.addEventListener("click", () => {
        const first = head.dataset.first ?? "descending";
        const second = first === "descending" ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? second : first;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [key(a), key(b)];
          if (x === "" || y === "") return (x === "") - (y === ""); // rows without a figure stay below
          const numbers = [Number(x), Number(y)];
          return sign * (numbers.some(Number.isNaN) ? x.localeCompare(y) : numbers[0] - numbers[1]);
        });
        body.append(...rows);
      });
    });
  }
})();
