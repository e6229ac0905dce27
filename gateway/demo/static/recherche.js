"use strict";
var field = document.getElementById("q");
var list = document.getElementById("suggestions");
var timer = null;
function show(persons) {
  list.textContent = "";
  persons.forEach(function (person) {
    var option = document.createElement("option");
    option.value = person.nom + " " + person.prenom;
    option.label = person.ville;
    list.appendChild(option);
  });
}
field.addEventListener("input", function () {
  clearTimeout(timer);
  timer = setTimeout(function () {
    if (field.value.length < 2) { return; }
    fetch("/recherche/suggestions?q=" + encodeURIComponent(field.value))
      .then(function (answer) { return answer.ok ? answer.json() : []; })
      .then(show);
  }, 200);
});
