"use strict";
// Shows one slice of each sheet at a time; a printed page has them all.
(() => {
  const sliders = [...document.querySelectorAll("input[data-sheet]")];
  const sheetOf = (slider) => document.getElementById(slider.dataset.sheet);
  const whole = new Map(sliders.map((slider) => [slider, sheetOf(slider).getAttribute("viewBox")]));
  const show = (slider) => {
    const sheet = sheetOf(slider), { width, height, columns } = sheet.dataset;
    const x = (slider.value % columns) * width, y = Math.floor(slider.value / columns) * height;
    sheet.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
    const place = `${slider.dataset.axis} = ${slider.dataset.places.split(" ")[slider.value].replace("-", "−")} mm`;
    slider.setAttribute("aria-valuetext", place);
    slider.nextElementSibling.value = place;
  };
  const showAll = () => sliders.forEach((slider) => sheetOf(slider).setAttribute("viewBox", whole.get(slider)));
  for (const slider of sliders) {
    slider.addEventListener("input", () => show(slider));
    sheetOf(slider).addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement === slider) {
        event.preventDefault();
        slider.value = Number(slider.value) + Math.sign(event.deltaY);
        show(slider);
      }
    }, { passive: false });
    sheetOf(slider).addEventListener("click", () => slider.focus());
  }
  document.querySelectorAll(".screen[hidden]").forEach((part) => { part.hidden = false; });
  sliders.forEach(show);
  window.addEventListener("beforeprint", showAll);
  window.addEventListener("afterprint", () => sliders.forEach(show));

  const toggle = (name, shown) => document.querySelectorAll(`.${name}`).forEach((layer) => { layer.style.display = shown ? "" : "none"; });
  document.querySelectorAll("input[data-toggles]").forEach((box) => box.addEventListener("change", () => toggle(box.dataset.toggles, box.checked)));
  const flick = document.getElementById("flick");
  if (flick) {
    flick.addEventListener("click", () => {
      const template = flick.getAttribute("aria-pressed") !== "true";
      flick.setAttribute("aria-pressed", template);
      toggle("layer-template", template);
    });
  }
})();
