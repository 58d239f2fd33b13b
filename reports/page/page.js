
"use strict";

// Tables sort by a click on a heading: numbers by value, with what is no number last.
const valueOf = (cell) => {
  const text = cell.textContent.trim();
  const number = parseFloat(text.replace(/,/g, ""));
  return Number.isNaN(number) ? text : number;
};

const compare = (a, b, direction) => {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return direction * (typeof a === "number" ? a - b : a.localeCompare(b));
};

for (const table of document.querySelectorAll("main table")) {
  const frame = document.createElement("div");
  frame.className = "scroll";
  table.replaceWith(frame);
  frame.append(table);
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const first = heading.textContent.includes("↑") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = heading.getAttribute("aria-sort") === first ? other : first;
      headings.forEach((one) => one.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      const body = table.tBodies[0];
      const direction = order === "ascending" ? 1 : -1;
      const value = (row) => valueOf(row.cells[column]);
      body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b), direction)));
    });
  });
}

// A method's name in a table leads to the commands of its jobs.
for (const name of document.querySelectorAll("main > .scroll td:nth-child(-n+2)")) {
  const jobs = document.getElementById(`jobs-${name.textContent}`);
  if (!jobs) continue;
  const link = document.createElement("a");
  link.href = `#${encodeURIComponent(jobs.id)}`;
  link.append(...name.childNodes);
  link.addEventListener("click", () => { jobs.open = true; });
  name.append(link);
}

// Two images of one view, one over the other.
const viewer = document.getElementById("viewer");
if (viewer) {
  const images = JSON.parse(document.getElementById("images").textContent);
  const { capture, view, left, right, error, split } = viewer.elements;
  const stage = viewer.querySelector(".stage");
  const [below, above] = stage.querySelectorAll("img");
  const SMALLEST = 640;  // CSS px of the longer side, to be legible

  const fill = (select, names, wanted) => {
    select.replaceChildren(...names.map((name) => new Option(name.label ?? name, name.key ?? name)));
    if ([...select.options].some((option) => option.value === wanted)) select.value = wanted;
  };
  const shown = () => images[capture.value][view.value];
  // "METHOD  30.1 dB": the score is another in every view, the method is what was chosen.
  const key = ([label]) => label.split("  ")[0];

  const show = () => {
    const address = (select) => shown().find((one) => key(one) === select.value)[1];
    below.src = address(right);
    above.src = address(left);
    stage.classList.toggle("error", error.checked);
  };
  const fillImages = () => {
    const names = shown().map((one) => ({ key: key(one), label: one[0] }));
    fill(left, names, left.value || names[0].key);
    fill(right, names, right.value || viewer.dataset.best);
    show();
  };
  const fillViews = () => {
    fill(view, Object.keys(images[capture.value]), view.value);
    fillImages();
  };
  const cut = () => stage.style.setProperty("--split", `${split.value}%`);

  below.addEventListener("load", () => {
    const longer = Math.max(below.naturalWidth, below.naturalHeight);
    stage.style.width = `${below.naturalWidth * Math.max(1, Math.ceil(SMALLEST / longer))}px`;
  });
  capture.addEventListener("change", fillViews);
  view.addEventListener("change", fillImages);
  for (const select of [left, right, error]) select.addEventListener("change", show);
  split.addEventListener("input", cut);
  viewer.addEventListener("submit", (event) => event.preventDefault());
  fill(capture, Object.keys(images), "");
  fillViews();
  cut();
  viewer.hidden = false;
}
