"use strict";
(() => {
  document.documentElement.classList.add("scripted");

  // Tables: the button in a column's head sorts by it, a second press turns the order round.
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const value = Number(text);
    return cell.dataset.value === undefined ? text : Number.isNaN(value) ? null : value;
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  for (const button of document.querySelectorAll(".sort")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const table = button.closest("table");
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [key(row, head.cellIndex), row]);
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null); // what does not exist comes last
        return falling ? -compare(a, b) : compare(a, b);
      });
      body.append(...rows.map(([, row]) => row));
    });
  }

  for (const button of document.querySelectorAll(".command .copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      const told = document.getElementById("copied");
      try {
        await navigator.clipboard.writeText(code.textContent);
        told.textContent = "Copied.";
      } catch {
        getSelection().selectAllChildren(code);
        told.textContent = "Selected; copy it with the keyboard.";
      }
    });
  }

  // A table that does not fit says so.
  const cue = () => {
    for (const region of document.querySelectorAll(".wide")) region.classList.toggle("scrolls", region.scrollWidth > region.clientWidth + 1);
  };
  addEventListener("resize", cue);
  document.addEventListener("toggle", cue, true);
  cue();

  // On paper everything is open.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });

  const stored = document.getElementById("data");
  const form = document.getElementById("explorer");
  if (!stored || !form) return;

  // The map browser. Texts enter the page as text, pictures as data: URIs of the encoder's own letters.
  const data = JSON.parse(stored.textContent);
  const slider = document.getElementById("stage");
  const output = document.getElementById("stage-name");
  const select = document.getElementById("score");
  const strip = document.getElementById("strip");
  const over = document.getElementById("over");
  const large = document.getElementById("large");
  const cells = [...document.querySelectorAll(".method")];
  const picture = document.querySelector(".shown");
  const thumbs = [...form.querySelectorAll(".thumb")].map((label) => label.querySelector("img")?.src);
  const last = data.stages.length - 1;
  const chosen = (name) => Number(form.elements[name].value);
  const element = (tag, text, parent) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    parent?.append(made);
    return made;
  };
  const put = (image, body, words) => {
    image.hidden = body === null;
    if (body !== null) image.src = data.prefix + body;
    image.alt = body === null ? `${words}: not a finite map` : words;
  };
  const stageName = (stage) => (stage === 0 ? `${data.stages[0]}: trained weights` : `${stage} of ${last}: ${data.stages[stage]}`);

  const tell = (cell, image, method, stage) => {
    const panel = cell.querySelector(".values");
    const short = cell.querySelector(".score");
    const facts = stage === 0 ? null : data.values[image][method][stage - 1];
    panel.replaceChildren();
    short.replaceChildren();
    element("p", stageName(stage), panel);
    if (facts === null) {
      element("p", "The map that all others are compared with.", panel);
      element("span", "trained model", short);
      return "";
    }
    const list = element("dl", undefined, panel);
    data.metrics.forEach((metric, k) => {
      element("dt", metric, list);
      const score = element("dd", facts.scores[k], list);
      if (facts.means) element("small", ` mean of trials ${facts.means[k]}`, score);
    });
    if (facts.note) element("p", facts.note, panel);
    const k = Number(select.value);
    element("span", data.metrics[k], short);
    element("b", facts.scores[k], short);
    return `, ${data.metrics[k]} ${facts.scores[k]}${facts.note ? `, ${facts.note}` : ""}`;
  };

  const draw = () => {
    const image = chosen("image");
    const style = chosen("style");
    const stage = slider ? Number(slider.value) : 0;
    const maps = data.maps[image][style];
    if (slider) {
      slider.setAttribute("aria-valuetext", stageName(stage));
      output.textContent = stageName(stage);
    }
    if (picture) {
      picture.hidden = !thumbs[image];
      if (thumbs[image]) picture.src = thumbs[image];
      picture.alt = `The explained image: ${data.images[image].title}`;
      document.querySelector(".about bdi").textContent = data.images[image].title;
    }
    cells.forEach((cell, method) => {
      const name = `${data.methods[method]}, ${data.images[image].title}, ${data.styles[style]} map`;
      const before = cell.querySelector(".before");
      if (!before) return put(cell.querySelector(".map"), maps[method][0], name);
      const score = tell(cell, image, method, stage);
      put(before, maps[method][0], `${name} of the trained model`);
      put(cell.querySelector(".map"), maps[method][stage], stage === 0 ? `${name}, the same` : `${name} after ${data.stages[stage]}${score}`);
      cell.querySelector(".now").textContent = data.stages[stage];
    });
    layOver(thumbs[image], style);
    if (strip?.open) drawStrip(maps);
  };

  // An absolute map is white where it is empty: multiplied with the photograph, it colors what it marks. A signed map is
  // gray there, and a filter makes gray transparent.
  const layOver = (photograph, style) => {
    if (!over) return;
    over.disabled = !photograph;
    for (const layer of document.querySelectorAll(".layer")) {
      layer.querySelector(".under")?.remove();
      layer.classList.toggle("over", over.checked && !over.disabled);
      layer.classList.toggle("signed", style !== 0);
      if (!over.checked || over.disabled) continue;
      const under = element("img", undefined, layer);
      under.className = "under";
      under.alt = "";
      under.src = photograph;
      layer.prepend(under);
    }
  };

  const enlarge = (cell) => {
    document.getElementById("large-title").textContent = cell.querySelector("h3").textContent;
    const figures = large.querySelector(".figures");
    figures.replaceChildren();
    if (picture && !picture.hidden) show(figures, [picture], "image");
    const before = cell.querySelector(".before");
    if (before) show(figures, before.parentElement.children, "trained model");
    const now = cell.querySelector(".now");
    show(figures, cell.querySelector(".map").parentElement.children, now ? now.textContent : "map");
    large.showModal();
  };
  const show = (figures, images, words) => {
    const figure = element("figure", undefined, figures);
    const layer = element("span", undefined, figure);
    layer.className = images[0].parentElement.className;
    for (const image of images) layer.append(image.cloneNode());
    element("figcaption", words, figure);
  };

  // Built when it is opened: a copy of every map as an element of its own is heavy.
  const drawStrip = (maps) => {
    const table = element("table");
    const head = element("tr", undefined, element("thead", undefined, table));
    element("th", "Method", head).scope = "col";
    for (const stage of data.stages) element("th", stage, head).scope = "col";
    const body = element("tbody", undefined, table);
    data.methods.forEach((title, method) => {
      const row = element("tr", undefined, body);
      element("th", title, row).scope = "row";
      maps[method].forEach((map, stage) => {
        const picture = element("img", undefined, element("td", undefined, row));
        if (document.querySelector(".map.pixels")) picture.className = "pixels";
        put(picture, map, `${title}, ${data.stages[stage]}`);
      });
    });
    strip.querySelector(".wide").replaceChildren(table);
  };

  form.addEventListener("input", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  slider?.addEventListener("input", draw);
  strip?.addEventListener("toggle", draw);
  cells.forEach((cell) => {
    cell.querySelector(".enlarge").addEventListener("click", () => enlarge(cell));
    if (!slider) cell.querySelector(".layer").addEventListener("click", () => enlarge(cell));
    const button = cell.querySelector(".pair");
    button?.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") !== "true";
      button.setAttribute("aria-expanded", String(open));
      cell.classList.toggle("quieted", !open);
    });
    for (const event of ["pointerenter", "pointerleave", "focusin", "focusout"]) {
      cell.addEventListener(event, () => cell.classList.remove("quieted"));
    }
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const cell of cells) {
      cell.classList.add("quieted");
      cell.querySelector(".pair")?.setAttribute("aria-expanded", "false");
    }
  });
  // A browser may have kept the choices of the last visit.
  draw();
})();
