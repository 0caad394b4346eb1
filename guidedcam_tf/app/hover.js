/* Tells the map's value below the pointer, read from the grey map that the page shows. */
(() => {
  const canvas = document.createElement("canvas");
  let read = "";

  function values() {
    const map = document.querySelector("#levels img");
    if (!map || !map.naturalWidth) return null;
    if (read !== map.src) {
      canvas.width = map.naturalWidth;
      canvas.height = map.naturalHeight;
      canvas.getContext("2d", { willReadFrequently: true }).drawImage(map, 0, 0);
      read = map.src;
    }
    return canvas;
  }

  function tell(event) {
    const shown = event.target.closest("#overlay img, #levels img, #mask img");
    const place = document.querySelector("#value p, #value .prose, #value span");
    if (!shown || !place || !values()) return;
    const box = shown.getBoundingClientRect();
    const scale = Math.min(box.width / canvas.width, box.height / canvas.height);
    const left = box.left + (box.width - canvas.width * scale) / 2;
    const top = box.top + (box.height - canvas.height * scale) / 2;
    const x = Math.floor((event.clientX - left) / scale);
    const y = Math.floor((event.clientY - top) / scale);
    if (x < 0 || y < 0 || x >= canvas.width || y >= canvas.height) return;
    const level = canvas.getContext("2d").getImageData(x, y, 1, 1).data[0];
    const across = Math.round((100 * x) / canvas.width);
    const down = Math.round((100 * y) / canvas.height);
    place.textContent =
      `The map is ${(level / 255).toFixed(2)} at ${across}% from the left, ${down}% from the top.`;
  }

  document.addEventListener("pointermove", tell);
  document.addEventListener("pointerdown", tell);
})();
