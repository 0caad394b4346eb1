// What scrolls can be reached and scrolled with the keyboard.
addEventListener("load", () => {
  for (const each of document.querySelectorAll("code, .formula, .md-typeset__scrollwrap")) {
    if (each.scrollWidth > each.clientWidth && each.clientWidth > 0) each.tabIndex = 0;
  }
});
