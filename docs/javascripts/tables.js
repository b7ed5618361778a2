// A table that is wider than the page scrolls; give it the focus, so that the arrow keys can scroll it.
(() => {
  function reach() {
    for (const table of document.querySelectorAll("article table")) {
      const frame = table.closest(".md-typeset__scrollwrap") || table.parentElement;
      if (frame.scrollWidth > frame.clientWidth) table.setAttribute("tabindex", "0");
      else table.removeAttribute("tabindex");
    }
  }

  addEventListener("load", reach);
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
})();
