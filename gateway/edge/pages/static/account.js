"use strict";
// Tells the hour at which there is room again, in the person's own time.
for (const next of document.querySelectorAll("[data-in-s]")) {
  const at = new Date(Date.now() + Number(next.dataset.inS) * 1000);
  const today = at.toDateString() === new Date().toDateString();
  const hour = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const style = today ? hour : { weekday: "short", day: "numeric", month: "short", ...hour };
  next.textContent = `${today ? next.dataset.at : next.dataset.on} ${at.toLocaleString(document.documentElement.lang, style)}`;
}
