"use strict";
/* The page itself: four views behind tabs. The address says which one (#search), so it can be sent.
   */

const VIEWS = [
  { id: "think", title: "Think", build: thinkView,
    intro: "One chain of thought. The stronger a token's shade, the more it surprised the model. " +
      "Point at a token to see what else it might have said; press it, and choose another way." },
  { id: "chains", title: "Many chains", build: chainsView,
    intro: "Sixteen chains on one problem, and the vote among their answers." },
  { id: "search", title: "Search", build: searchView,
    intro: "The model proposes steps, a verifier scores them, and a search decides where to go." },
  { id: "compare", title: "Before and after RL", build: compareView,
    intro: "One problem and the same random numbers, before and after reinforcement learning." },
];

function start() {
  const tabs = element("div", { role: "tablist", "aria-label": "Views" });
  const panels = VIEWS.map((view) => element("section", { role: "tabpanel", id: `view-${view.id}`,
    "aria-labelledby": `tab-${view.id}`, hidden: true },
  element("p", { class: "intro" }, view.intro)));
  const buttons = VIEWS.map((view, i) => element("button", { role: "tab", id: `tab-${view.id}`,
    type: "button", "aria-controls": `view-${view.id}`, onclick: () => show(i, true) },
  view.title));
  const built = new Set();

  function show(i, chosen) {
    VIEWS.forEach((_, k) => {
      panels[k].hidden = k !== i;
      buttons[k].setAttribute("aria-selected", String(k === i));
      buttons[k].tabIndex = k === i ? 0 : -1;
    });
    if (chosen) history.replaceState(null, "", `#${VIEWS[i].id}`);
    if (built.has(i)) return;
    built.add(i);
    const view = VIEWS[i].build();
    panels[i].append(view.element);
    view.start();
  }
  tabs.addEventListener("keydown", ({ key }) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[key];
    const now = buttons.indexOf(document.activeElement);
    if (!way || now < 0) return;
    const next = (now + way + buttons.length) % buttons.length;
    buttons[next].focus();
    show(next, true);
  });
  tabs.append(...buttons);
  document.querySelector("main").append(tabs, ...panels);
  const named = () => Math.max(0, VIEWS.findIndex(({ id }) => `#${id}` === location.hash));
  addEventListener("hashchange", () => show(named(), false));
  show(named(), false);
}

/** Light, dark, or as the system has it. */
function themeButton() {
  const themes = ["auto", "light", "dark"];
  let now = 0;
  const button = element("button", { type: "button", class: "link", onclick: () => {
    now = (now + 1) % themes.length;
    document.documentElement.dataset.theme = themes[now];
    button.textContent = `Theme: ${themes[now]}`;
  } }, "Theme: auto");
  return button;
}

document.querySelector("header").append(themeButton());
start();
