"use strict";
var fil = document.getElementById("fil");
var source = new EventSource("/evenements?intervalle_ms=2000");
source.addEventListener("dossier", function (event) {
  var person = JSON.parse(event.data);
  var line = document.createElement("li");
  line.textContent = person.nom + " " + person.prenom + " – NIR " + person.nir;
  fil.insertBefore(line, fil.firstChild);
});
source.addEventListener("gateway", function (event) {
  source.close();
  var line = document.createElement("li");
  line.className = "erreur";
  line.textContent = "Flux interrompu : " + event.data;
  fil.insertBefore(line, fil.firstChild);
});
