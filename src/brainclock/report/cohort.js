"use strict";
// Sorts, filters and pages the table of scans; the rows come from the JSON in the page.
(() => {
  const lines = JSON.parse(document.getElementById("lines").textContent).map(([state, ...cells]) => ({
    state, cells, text: cells.join(" ").toLowerCase(),
  }));
  const table = document.getElementById("scans"), body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const size = Math.max(body.rows.length, 1);
  const get = (id) => document.getElementById(id);
  const filters = ["state", "site", "group"].map(get).filter(Boolean);
  let found = lines, start = 0;

  const cell = (text, column, key) => {
    if (column > 0) {
      const plain = document.createElement("td");
      if (heads[column].classList.contains("number")) plain.className = "number";
      plain.textContent = text;
      return plain;
    }
    const head = document.createElement("th"), link = document.createElement("a");
    head.scope = "row";
    link.href = `${encodeURIComponent(key)}.html`;
    link.textContent = text;
    head.append(link);
    return head;
  };
  const show = () => {
    const end = Math.min(start + size, found.length);
    body.replaceChildren(...found.slice(start, end).map((line) => {
      const row = document.createElement("tr");
      row.className = line.state;
      row.append(...line.cells.map((text, column) => cell(text, column, line.cells[0])));
      return row;
    }));
    get("found").textContent = `${found.length} of ${lines.length} scans`;
    get("page").textContent = found.length ? `${start + 1} to ${end} of ${found.length}` : "none";
    get("before").disabled = start === 0;
    get("after").disabled = end === found.length;
  };
  const number = (text) => {
    const value = parseFloat(text.replace("−", "-"));
    return Number.isNaN(value) ? null : value;
  };
  // A cell that is empty comes last, whichever way.
  const sort = (column, down) => {
    const numeric = heads[column].classList.contains("number"), sign = down ? -1 : 1;
    const of = (line) => (numeric ? number(line.cells[column]) : line.cells[column] || null);
    const compare = numeric ? (a, b) => a - b : new Intl.Collator("en", { numeric: true }).compare;
    const keyed = lines.map((line, index) => [of(line), index, line]);
    keyed.sort(([a, i], [b, j]) => (a === null) - (b === null) || (a === null ? 0 : sign * compare(a, b)) || i - j);
    keyed.forEach(([, , line], index) => { lines[index] = line; });
  };
  const filter = () => {
    const words = get("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = filters.filter((select) => select.value);
    found = lines.filter((line) => words.every((word) => line.text.includes(word)) && wanted.every((select) => (
      select.dataset.column ? line.cells[select.dataset.column] : line.state) === select.value));
    start = 0;
    show();
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(column, down);
      filter();
    });
    head.replaceChildren(button);
  });
  get("search").addEventListener("input", filter);
  filters.forEach((select) => select.addEventListener("change", filter));
  get("before").addEventListener("click", () => { start = Math.max(0, start - size); show(); });
  get("after").addEventListener("click", () => { start += size; show(); });
  document.querySelectorAll(".screen[hidden]").forEach((part) => { part.hidden = lines.length <= size && part.classList.contains("pages"); });
  filter();
})();
