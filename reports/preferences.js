"use strict";
// Points and names of the figures lead to their feature; pointing at one, or at a row of the table, shows its strongest
// example; the arrow keys turn the pages of features. Without this script the table's links do the same.
(() => {
  const go = (index) => { location.hash = "feature-" + index; };
  const current = () => document.querySelector("section.feature:target");
  const peek = document.getElementById("peek");
  const roomy = matchMedia("(min-width: 62rem) and (hover: hover)");

  function show(index, at) {
    const example = document.querySelector("#feature-" + index + " .example");
    if (!roomy.matches || !example) return;
    const title = document.createElement("p");
    title.className = "peek-title";
    title.textContent = document.querySelector("#feature-" + index + " h2").textContent;
    const copy = example.cloneNode(true);
    copy.removeAttribute("id");
    for (const details of copy.querySelectorAll("details")) details.remove();
    peek.replaceChildren(title, copy);
    peek.classList.toggle("above", at > innerHeight / 2); // never over what is pointed at
    peek.hidden = false;
  }
  const hide = () => { peek.hidden = true; };

  for (const figure of document.querySelectorAll(".figure[data-features]")) {
    if (!figure.on) continue;
    figure.on("plotly_click", (event) => go(event.points[0].customdata));
    figure.on("plotly_clickannotation", (event) => go(event.annotation.name));
    figure.on("plotly_hover", (event) => show(event.points[0].customdata, event.event.clientY));
    figure.on("plotly_unhover", hide);
  }
  for (const button of document.querySelectorAll("button[data-save]")) {
    button.hidden = !window.Plotly;
    button.addEventListener("click", () => {
      const filename = "features-" + button.dataset.name.replace(/[^\w.-]+/g, "-");
      Plotly.downloadImage(button.dataset.save, { format: "png", width: 1100, height: 900, scale: 2, filename });
    });
  }
  const axes = document.querySelector("button[data-axes]");
  if (axes && window.Plotly) {
    axes.hidden = false;
    axes.addEventListener("click", () => {
      const own = axes.getAttribute("aria-pressed") !== "true";
      axes.setAttribute("aria-pressed", String(own));
      for (const figure of document.querySelectorAll(".figure[data-reach]")) {
        const reach = JSON.parse(figure.dataset.reach)[Number(own)];
        Plotly.relayout(figure, { "yaxis.range": [-reach, reach] });
      }
    });
  }
  for (const row of document.querySelectorAll("tr[data-feature]")) {
    const shown = () => show(row.dataset.feature, row.getBoundingClientRect().top);
    row.addEventListener("mouseenter", shown);
    row.addEventListener("mouseleave", hide);
    row.addEventListener("focusin", shown);
    row.addEventListener("focusout", hide);
  }

  addEventListener("hashchange", () => {
    hide();
    current()?.querySelector("h2").focus({ preventScroll: true });
  });
  addEventListener("keydown", (event) => {
    const feature = current();
    const held = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    const busy = held || event.target.closest("input, .scroll"); // a wide table scrolls by the same keys
    if (!feature || busy) return;
    if (event.key === "ArrowLeft") feature.querySelector("a[rel=prev]")?.click();
    if (event.key === "ArrowRight") feature.querySelector("a[rel=next]")?.click();
    if (event.key === "Escape") feature.querySelector("a.back").click();
  });
})();
