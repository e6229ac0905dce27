"use strict";
// One touch: asks the browser to sign, or to make, a passkey. Without script or WebAuthn these forms stay hidden.
(() => {
  if (!window.PublicKeyCredential) return;

  const bytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (one) => one.charCodeAt(0));
  };
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const described = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const post = async (path, value) => {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(value),
      credentials: "same-origin",
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(`${said.title}. ${said.detail}`);
    return said;
  };

  const common = (made, response) => ({ id: made.id, rawId: text(made.rawId), type: made.type, response });

  const confirm = async (form) => {
    const asked = await post("/.gateway/step-up/webauthn/options", { challenge: form.dataset.challenge });
    const options = asked.publicKey;
    options.challenge = bytes(options.challenge);
    options.allowCredentials = described(options.allowCredentials);
    const made = await navigator.credentials.get({ publicKey: options });
    const credential = common(made, {
      clientDataJSON: text(made.response.clientDataJSON),
      authenticatorData: text(made.response.authenticatorData),
      signature: text(made.response.signature),
    });
    await post("/.gateway/step-up/webauthn/verify", { ceremony: asked.ceremony, credential });
    const codes = document.getElementById("step-up");
    if (codes.dataset.next) {
      location.assign(codes.dataset.next);
      return;
    }
    // What is loaded again may be a file to keep: then this page stays, and says that it is done.
    if (codes.dataset.after === "reload") location.reload();
    if (codes.dataset.after === "again") document.getElementById("again").submit();
    const done = document.getElementById("step-up-done");
    done.textContent = codes.dataset.confirmed;
    done.hidden = false;
    codes.hidden = true;
    document.querySelector("form.passkey").hidden = true;
  };

  const add = async (form) => {
    const asked = await post("/.gateway/enrol/webauthn/options", {});
    const options = asked.publicKey;
    options.challenge = bytes(options.challenge);
    options.user.id = bytes(options.user.id);
    options.excludeCredentials = described(options.excludeCredentials);
    const made = await navigator.credentials.create({ publicKey: options });
    const credential = common(made, {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports ? made.response.getTransports() : [],
    });
    const name = form.elements.namedItem("name").value;
    await post("/.gateway/enrol/webauthn/verify", { ceremony: asked.ceremony, credential, name });
    location.reload();
  };

  // Who has no passkey is offered none; who has one finds it first, unless codes are what they use on this device, or
  // they type one already.
  const offer = async (form) => {
    const answer = await fetch("/.gateway/step-up/ways", { credentials: "same-origin" });
    if (!answer.ok || !(await answer.json()).kinds.includes("webauthn")) return;
    form.hidden = false;
    const code = document.getElementById("code");
    const usesCodes = code && document.cookie.split("; ").includes("gateway_way=totp");
    if (!usesCodes && (!code || !code.value)) form.querySelector("button").focus();
  };

  const serve = (selector, work, show) => {
    const form = document.querySelector(selector);
    if (!form) return;
    const button = form.querySelector("button");
    const error = form.querySelector("[role=alert]");
    show(form).catch(() => {});
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      error.hidden = true;
      try {
        await work(form);
      } catch (fault) {
        // a person who says no, or waits too long, is a DOMException; no answer of ours is a TypeError
        const words = fault instanceof DOMException ? form.dataset.cancelled : fault.message;
        error.textContent = fault instanceof TypeError ? form.dataset.noAnswer : words;
        error.hidden = false;
      }
      button.disabled = false;
    });
  };

  serve("form.passkey", confirm, offer);
  serve("form.passkey-add", add, async (form) => {
    form.hidden = false;
  });
})();
