"use strict";
// Tells the page that opened this window, of this very origin and no other, and closes it.
if (window.opener) {
  window.opener.postMessage({ gateway: "confirmed" }, location.origin);
  window.close();
}
