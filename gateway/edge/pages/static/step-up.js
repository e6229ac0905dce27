"use strict";
// Sends the code without leaving the page, so that the address stays what the person asked for.
(() => {
  // A passkey that this host cannot ask for is asked for in a window of the pages' own, which comes back and says so.
  const link = document.getElementById("window");
  if (link) {
    let opened = null;
    window.addEventListener("message", (event) => {
      const confirmed = event.data && event.data.gateway === "confirmed";
      if (!confirmed || event.origin !== location.origin || event.source !== opened) return;
      const { next, after } = document.getElementById("step-up").dataset;
      if (next) location.assign(next);
      else if (after === "reload") location.reload();
    });
    link.addEventListener("click", (event) => {
      event.preventDefault();
      opened = window.open(link.href, "gateway-step-up", "popup,width=520,height=760");
    });
  }

  const form = document.getElementById("step-up");
  if (!(form instanceof HTMLFormElement)) return; // a passkey alone opens it
  const code = document.getElementById("code");
  const error = document.getElementById("code-error");
  const done = document.getElementById("step-up-done");
  const button = form.querySelector("button");
  const named = form.elements.namedItem("challenge");

  const fail = (words) => {
    error.textContent = words;
    error.hidden = false;
    code.setAttribute("aria-invalid", "true");
    code.value = "";
    code.focus();
  };

  const send = async () => {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ code: code.value, challenge: named ? named.value : "" }),
      credentials: "same-origin",
    });
    if (answer.ok) {
      if (form.dataset.next) {
        location.assign(form.dataset.next);
        return;
      }
      // What is loaded again may be a file to keep: then this page stays, and says that it is done.
      if (form.dataset.after === "reload") location.reload();
      if (form.dataset.after === "again") document.getElementById("again").submit();
      form.hidden = true;
      done.textContent = form.dataset.confirmed;
      done.hidden = false;
      return;
    }
    const problem = await answer.json();
    fail(`${problem.title}. ${problem.detail}`);
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.hidden = true;
    code.removeAttribute("aria-invalid");
    try {
      await send();
    } catch {
      fail(form.dataset.noAnswer);
    }
    button.disabled = false;
  });
})();
