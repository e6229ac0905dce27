"use strict";
var numero = document.getElementById("numero");
var resultat = document.getElementById("resultat");
function adresse() { return "/api/demandeurs/" + encodeURIComponent(numero.value); }
function montrer(dossier) { resultat.textContent = dossier.nom + " " + dossier.prenom + " : " + dossier.nir; }
function echec(statut) { resultat.textContent = "Erreur " + statut; }
document.getElementById("consultation").addEventListener("submit", function (event) {
  event.preventDefault();
  resultat.textContent = "…";
  fetch(adresse()).then(function (reponse) {
    if (!reponse.ok) { echec(reponse.status); return; }
    reponse.json().then(montrer);
  });
});
document.getElementById("ancien").addEventListener("click", function () {
  var appel = new XMLHttpRequest();
  resultat.textContent = "…";
  appel.open("GET", adresse());
  appel.setRequestHeader("X-Requested-With", "XMLHttpRequest");
  appel.onreadystatechange = function () {
    if (appel.readyState !== 4) { return; }
    if (appel.status === 200) { montrer(JSON.parse(appel.responseText)); } else { echec(appel.status); }
  };
  appel.send();
});
document.getElementById("enregistrer").addEventListener("click", function () {
  resultat.textContent = "…";
  fetch(adresse(), {
    method: "PATCH",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ telephone: "01 99 00 00 42" }),
  }).then(function (reponse) { resultat.textContent = reponse.ok ? "Enregistré" : "Erreur " + reponse.status; });
});
