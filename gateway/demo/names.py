"""The words a synthetic French person is made of.

First and last names come from Faker's French lists, taken once: Faker itself costs 200 µs a person. Places,
agencies and sentences are our own. Telephone numbers lie in the ranges that Arcep keeps for fiction, e-mail addresses
under `.example` (RFC 2606), so that nobody real can be called or written to.
"""

from __future__ import annotations

from typing import Final

from faker.providers.person.fr_FR import Provider as _FrenchNames

from gateway.demo.spelling import without_accents

LAST_NAMES: Final = tuple(dict.fromkeys(without_accents(name).upper() for name in _FrenchNames.last_names))
MALE_NAMES: Final = tuple(str(name) for name in _FrenchNames.first_names_male)
FEMALE_NAMES: Final = tuple(str(name) for name in _FrenchNames.first_names_female)

STREETS: Final = tuple(
    f"{kind} {name}"
    for kind in ("rue", "avenue", "boulevard", "place", "chemin", "allée", "impasse")
    for name in (
        "de la République", "Victor Hugo", "des Écoles", "de la Gare", "du Général de Gaulle", "Jean Jaurès",
        "des Acacias", "de l'Église", "du Château", "des Lilas", "Émile Zola", "de Verdun", "du Moulin",
        "Sainte-Thérèse", "des Frères Lumière", "Pasteur", "Louise Michel", "du Maréchal Foch", "de la Liberté",
        "George Sand",
    )
)  # fmt: skip

#: Commune and postal code, one agency each.
CITIES: Final = (
    ("Paris", "75011"), ("Paris", "75019"), ("Marseille", "13003"), ("Lyon", "69007"), ("Toulouse", "31000"),
    ("Nice", "06000"), ("Nantes", "44000"), ("Montpellier", "34000"), ("Strasbourg", "67000"),
    ("Bordeaux", "33000"), ("Lille", "59000"), ("Rennes", "35000"), ("Reims", "51100"), ("Saint-Étienne", "42000"),
    ("Le Havre", "76600"), ("Toulon", "83000"), ("Grenoble", "38000"), ("Dijon", "21000"), ("Angers", "49000"),
    ("Nîmes", "30000"), ("Clermont-Ferrand", "63000"), ("Le Mans", "72000"), ("Brest", "29200"), ("Tours", "37000"),
    ("Amiens", "80000"), ("Limoges", "87000"), ("Annecy", "74000"), ("Perpignan", "66000"), ("Besançon", "25000"),
    ("Metz", "57000"), ("Orléans", "45000"), ("Rouen", "76000"), ("Mulhouse", "68100"), ("Caen", "14000"),
    ("Nancy", "54000"), ("Saint-Denis", "93200"), ("Créteil", "94000"), ("Évry-Courcouronnes", "91000"),
    ("Poitiers", "86000"), ("Béziers", "34500"), ("Pau", "64000"), ("La Rochelle", "17000"), ("Calais", "62100"),
    ("Ajaccio", "20000"), ("Bastia", "20200"), ("Valence", "26000"), ("Quimper", "29000"), ("Troyes", "10000"),
    ("Chambéry", "73000"), ("Niort", "79000"), ("Fort-de-France", "97200"), ("Les Abymes", "97139"),
    ("Cayenne", "97300"), ("Saint-Denis", "97400"), ("Mamoudzou", "97600"), ("Bourges", "18000"),
    ("Charleville-Mézières", "08000"), ("Épinal", "88000"), ("Albi", "81000"), ("Vénissieux", "69200"),
)  # fmt: skip

#: First digits kept for fiction (Arcep, decision 2018-0881).
FICTION_PREFIXES: Final = ("06 39 98", "01 99 00", "02 61 91", "03 53 01", "04 65 71", "05 36 49")

SITUATIONS: Final = (
    "Inscrit catégorie A", "Inscrit catégorie B", "Inscrit catégorie C", "En formation", "En emploi",
    "Radié", "Cessation d'inscription",
)  # fmt: skip

HEALTH: Final = (
    "Aucune restriction", "Aucune restriction", "Aucune restriction", "Port de charges limité à 10 kg",
    "Suivi pour diabète, pauses régulières", "Station debout prolongée déconseillée",
    "En arrêt de longue durée jusqu'à l'été", "Malentendant, appareillé",
)  # fmt: skip

HOUSING: Final = (
    "Locataire du parc social", "Hébergé chez un tiers", "Propriétaire", "Sans domicile stable",
    "Foyer de jeunes travailleurs",
)  # fmt: skip

EVENTS: Final = (
    "Premier entretien", "Entretien de suivi", "Actualisation mensuelle", "Formation prescrite",
    "Offre transmise", "Reprise d'emploi", "Avertissement avant radiation", "Changement d'adresse",
    "Atelier CV suivi", "Cessation d'inscription",
)  # fmt: skip

NOTES: Final = (
    "Motivé, cherche dans la restauration. Permis B, véhicule.",
    "Souhaite se reconvertir dans le numérique ; bilan de compétences à prévoir.",
    "Absente au dernier rendez-vous, justificatif reçu.",
    "Mobilité limitée au département. Garde d'enfants le mercredi.",
    "À recontacter après la formation.",
)
