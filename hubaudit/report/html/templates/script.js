"use strict";
// Everything works without this: it adds sorting, filters, expand and collapse, and a copy button.
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const say = (text) => { document.querySelector(".say").textContent = text; };
  const textOf = (cell) => cell.dataset.sort ?? cell.textContent.trim();
  const compare = (a, b) => a !== "" && b !== "" && !isNaN(a) && !isNaN(b)
    ? a - b
    : a < b ? -1 : a > b ? 1 : 0;

  function sort(table, column, head) {
    const descending = head.getAttribute("aria-sort") === "ascending";
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [textOf(row.cells[column]), row]);
    rows.sort(([a], [b]) => (descending ? compare(b, a) : compare(a, b)));
    for (const other of table.tHead.rows[0].cells) {
      other.removeAttribute("aria-sort");
      other.querySelector(".arrow").textContent = "\u2195";
    }
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    head.querySelector(".arrow").textContent = descending ? "\u2193" : "\u2191";
    body.append(...rows.map(([, row]) => row));
  }

  for (const table of all("table[data-sortable]")) {
    if (table.tBodies[0].rows.length < 2) continue;
    table.classList.add("sortable");
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      const arrow = document.createElement("span");
      button.type = "button";
      arrow.className = "arrow";
      arrow.ariaHidden = "true";
      arrow.textContent = "\u2195";
      button.append(head.textContent, arrow);
      button.addEventListener("click", () => sort(table, column, head));
      head.replaceChildren(button);
    });
  }

  for (const bar of all(".filter")) {
    const rows = [...document.getElementById(bar.dataset.for).tBodies[0].rows];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const [input, select, output] = ["input", "select", "output"].map((name) => bar.querySelector(name));
    const field = `data-${select.dataset.field}`;
    const apply = () => {
      const wanted = input.value.trim().toLowerCase();
      let shown = 0;
      rows.forEach((row, number) => {
        const fits = texts[number].includes(wanted)
          && (!select.value || row.getAttribute(field) === select.value);
        row.hidden = !fits;
        shown += fits;
      });
      output.textContent = wanted || select.value ? `${shown} of ${rows.length} rows` : "";
    };
    input.addEventListener("input", apply);
    select.addEventListener("change", apply);
    bar.hidden = false;
    apply(); // a reload keeps what was typed
  }

  for (const button of all("[data-copy]")) {
    const code = document.getElementById(button.dataset.copy);
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
        say("Copied");
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
        say("Selected, not copied: the browser does not allow it");
      }
    });
  }

  const folds = all("details");
  if (folds.length) {
    document.querySelector(".tools").hidden = false;
    const set = (open) => () => folds.forEach((fold) => { fold.open = open; });
    document.querySelector("[data-open]").addEventListener("click", set(true));
    document.querySelector("[data-close]").addEventListener("click", set(false));
    let before = [];
    addEventListener("beforeprint", () => {
      before = folds.map((fold) => fold.open);
      set(true)();
    });
    addEventListener("afterprint", () => folds.forEach((fold, number) => { fold.open = before[number]; }));
  }
})();
