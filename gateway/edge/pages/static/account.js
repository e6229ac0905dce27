"use strict";
// Tells the hour at which there is room again, in the person's own time.
for (const next of document.querySelectorAll("[data-in-s]")) {
  const at = new Date(Date.now() + Number(next.dataset.inS) * 1000);
  const today = at.toDateString() === new Date().toDateString();
  const hour = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const style = today ? hour : { weekday: "short", day: "numeric", month: "short", ...hour };
  next.textContent = `${today ? next.dataset.at : next.dataset.on} ${at.toLocaleString(document.documentElement.lang, style)}`;
}
// And when files were opened: on which day, from when to when.
for (const span of document.querySelectorAll("[data-from]")) {
  const [from, until] = [span.dataset.from, span.dataset.until].map((seconds) => new Date(Number(seconds) * 1000));
  const lang = document.documentElement.lang;
  const hour = (at) => at.toLocaleTimeString(lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const today = from.toDateString() === new Date().toDateString();
  const day = today ? span.dataset.today : from.toLocaleDateString(lang, { weekday: "short", day: "numeric", month: "short" });
  span.textContent = `${day} ${hour(from)}–${hour(until)}`;
}
