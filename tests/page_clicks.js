"use strict";
/* A reader's hands, for the test in a browser: forks a chain, then asks both models with the word put
   in. What came of it stands in the document when all is done. */

async function waitFor(look) {
  for (;;) {
    const found = look();
    if (found) return found;
    await new Promise((go) => setTimeout(go, 50));
  }
}

(async () => {
  await waitFor(() => document.querySelector("#view-think .trace[data-done=eos]"));
  document.querySelector("#view-think .token:nth-child(9)").click();
  document.querySelector(".way:not([disabled])").click();
  await waitFor(() => document.querySelectorAll(".earlier li").length === 2);
  document.querySelector("#tab-compare").click();
  await waitFor(() => document.querySelectorAll("#view-compare .trace[data-done=eos]").length === 2);
  [...document.querySelectorAll("#view-compare select")].at(-1).value = "forced";
  [...document.querySelectorAll("#view-compare button")].at(-1).click();
  await waitFor(() => document.querySelector("#view-compare table"));
  document.body.dataset.clicked = "all";
})();
