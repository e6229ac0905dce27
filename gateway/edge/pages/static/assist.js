"use strict";
// On an application's own pages: a call that is asked to confirm waits, a small window confirms, the call is sent again.
// The application is not changed, and never sees the question. Once a call: a second question is the page's to handle.
(() => {
  const tag = document.currentScript;
  if (!tag || window.gatewayAssist) return;
  window.gatewayAssist = true;
  const words = { ...tag.dataset };
  const pages = new URL(words.stepUp).origin;
  const ours = (url) => new URL(url, location.href).origin === location.origin;

  const apply = (element, style) => {
    for (const [key, value] of Object.entries(style)) element.style.setProperty(key, value);
    return element;
  };

  // The address to confirm at (RFC 9470 challenge), if an answer asks for it.
  const asked = (status, challenge) => {
    if (status !== 401 || !/insufficient_user_authentication/.test(challenge || "")) return null;
    const found = /step_up_uri="([^"]+)"/.exec(challenge);
    return found && new URL(found[1]).origin === pages ? found[1] : null;
  };

  // The window goes to the pages' own host and comes back to this one: its last word is of this very origin.
  let opened = null;
  const open = (address) => {
    const code = new URL(address).searchParams.get("code");
    const url = `/.gateway/window${code ? `?code=${encodeURIComponent(code)}` : ""}`;
    opened = window.open(url, "gateway-step-up", "popup,width=520,height=760");
  };

  // One question at a time; calls that ask the same thing share it.
  const waiting = new Map();
  let shown = null;

  const settle = (address, confirmed) => {
    const question = waiting.get(address);
    if (!question) return;
    waiting.delete(address);
    question.settle(confirmed);
    if (shown && shown.address === address) {
      shown.bar.remove();
      if (shown.before && shown.before.focus) shown.before.focus();
      shown = null;
    }
    next();
  };

  const next = () => {
    if (shown || !waiting.size) return;
    const [address] = waiting.keys();
    const bar = bars(address);
    shown = { address, bar, before: document.activeElement };
    (document.body || document.documentElement).append(bar);
    bar.querySelector("button").focus();
  };

  const button = (text, strong) => {
    const made = apply(document.createElement("button"), {
      font: "600 16px/1.4 system-ui, sans-serif", padding: "8px 16px", margin: "4px", "border-radius": "5px",
      border: "2px solid #1d4e6b", cursor: "pointer", color: strong ? "#ffffff" : "#1d4e6b",
      background: strong ? "#1d4e6b" : "#ffffff",
    });
    made.type = "button";
    made.textContent = text;
    return made;
  };

  const bars = (address) => {
    const bar = apply(document.createElement("div"), {
      position: "fixed", left: "0", right: "0", bottom: "0", "z-index": "2147483647", padding: "12px 16px",
      background: "#ffffff", color: "#17212b", "border-top": "3px solid #1d4e6b", "text-align": "center",
      font: "400 16px/1.5 system-ui, sans-serif", "box-shadow": "0 -2px 12px rgba(0,0,0,.25)",
    });
    bar.lang = words.lang;
    bar.setAttribute("role", "alertdialog");
    bar.setAttribute("aria-label", words.bar);
    const text = apply(document.createElement("p"), { margin: "0 0 8px", color: "#17212b" });
    text.textContent = words.bar;
    const confirm = button(words.confirm, true);
    const again = button(words.again, false);
    const cancel = button(words.cancel, false);
    apply(again, { display: "none" });
    confirm.addEventListener("click", () => {
      open(address);
      // Some pages cut the line to their windows: then the person says when it is done.
      apply(again, { display: "inline-block" });
    });
    again.addEventListener("click", () => settle(address, true));
    cancel.addEventListener("click", () => settle(address, false));
    bar.addEventListener("keydown", (event) => event.key === "Escape" && settle(address, false));
    bar.append(text, confirm, again, cancel);
    return bar;
  };

  const ask = (address) => {
    const open = waiting.get(address);
    if (open) return open.answer;
    const question = {};
    question.answer = new Promise((settled) => (question.settle = settled));
    waiting.set(address, question);
    if (document.body) next();
    else document.addEventListener("DOMContentLoaded", next, { once: true });
    return question.answer;
  };

  window.addEventListener("message", (event) => {
    if (event.origin !== location.origin || event.source !== opened) return;
    if (!event.data || event.data.gateway !== "confirmed") return;
    if (shown) settle(shown.address, true);
    else if (unmasking) location.reload();
  });

  const fetched = window.fetch;
  window.fetch = async function (input, init) {
    const given = input instanceof Request;
    const streams = init && (init.duplex || init.body instanceof ReadableStream);
    let request = null;
    try {
      // Nothing of the page's own request is used up before it is known to be one that can wait.
      if (ours(given ? input.url : input) && !streams) request = new Request(given ? input.clone() : input, init);
    } catch {
      request = null;
    }
    if (!request) return fetched.call(this, input, init);
    const spare = request.clone();
    const answer = await fetched.call(this, request);
    const address = asked(answer.status, answer.headers.get("www-authenticate"));
    if (!address) return answer;
    return (await ask(address)) ? fetched.call(this, spare) : answer;
  };

  const Original = window.XMLHttpRequest;
  const facts = new WeakMap();
  const { open: begun, send: sent, setRequestHeader: set, abort: aborted } = Original.prototype;
  Original.prototype.open = function (...given) {
    const known = facts.get(this) || { heard: false };
    if (!known.resending) Object.assign(known, { given, headers: [], held: false, tried: false });
    facts.set(this, known);
    return begun.apply(this, given);
  };
  Original.prototype.setRequestHeader = function (...header) {
    const known = facts.get(this);
    if (known && !known.resending) known.headers.push(header);
    return set.apply(this, header);
  };
  const copied = (form) => {
    const copy = new FormData();
    for (const [name, value] of form) copy.append(name, value);
    return copy;
  };
  Original.prototype.send = function (body) {
    const known = facts.get(this);
    if (known && !known.resending) known.body = body instanceof FormData ? copied(body) : body;
    return sent.call(this, body);
  };

  Original.prototype.abort = function () {
    const known = facts.get(this);
    if (known) known.held = false; // what waits is not sent any more
    return aborted.call(this);
  };

  const hold = (xhr, known, address) => {
    const call = known.given;
    known.held = known.tried = true;
    ask(address).then((confirmed) => {
      if (!known.held || known.given !== call) return;
      known.held = false;
      if (!confirmed) {
        for (const name of ["readystatechange", "load", "loadend"]) xhr.dispatchEvent(new ProgressEvent(name));
        return;
      }
      known.resending = true;
      begun.apply(xhr, known.given);
      for (const header of known.headers) set.apply(xhr, header);
      known.resending = false;
      sent.call(xhr, known.body);
    });
  };

  const listen = (xhr) => {
    // These listeners are the first of this object: what they stop, the page does not hear.
    const hear = (event) => {
      const known = facts.get(xhr);
      if (!known || !known.given || known.given[2] === false || !event.isTrusted) return;
      const done = xhr.readyState >= 2 && xhr.status === 401 && !known.tried && ours(known.given[1]);
      const address = done ? asked(xhr.status, xhr.getResponseHeader("www-authenticate")) : null;
      if (!address && !known.held) return;
      event.stopImmediatePropagation();
      if (address && xhr.readyState === 4 && event.type === "readystatechange") hold(xhr, known, address);
    };
    for (const name of ["readystatechange", "progress", "load", "loadend"]) xhr.addEventListener(name, hear);
    return xhr;
  };
  window.XMLHttpRequest = new Proxy(Original, {
    construct: (target, given, made) => listen(Reflect.construct(target, given, made)),
  });

  // A control beside each hidden value: confirms, then shows the page anew.
  let unmasking = false;
  const MASKED = /xMASKx\s*$/;
  const offer = () => {
    if (!("shows" in tag.dataset)) return;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) if (MASKED.test(walker.currentNode.data)) found.push(walker.currentNode);
    for (const node of found) {
      const show = apply(button(words.show, false), { font: "inherit", padding: "0 8px", margin: "0 0 0 8px", "border-width": "1px" });
      show.lang = words.lang;
      show.addEventListener("click", () => {
        unmasking = true;
        open(words.stepUp);
      });
      node.after(show);
    }
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", offer, { once: true });
  else offer();
})();
