"""The tables of the register as they have grown since 2004: French names, few constraints, everything readable."""

from typing import Final

TABLES: Final = """
CREATE TABLE agence (
    safir TEXT PRIMARY KEY, nom TEXT NOT NULL, adresse TEXT NOT NULL, code_postal TEXT NOT NULL,
    ville TEXT NOT NULL, telephone TEXT NOT NULL
);
CREATE TABLE demandeur (
    id INTEGER PRIMARY KEY, numero_francetravail TEXT NOT NULL, id_national_de TEXT NOT NULL,
    nir TEXT NOT NULL, nom TEXT NOT NULL, prenom TEXT NOT NULL, nom_naissance TEXT NOT NULL,
    sexe TEXT NOT NULL, date_naissance TEXT NOT NULL, adresse TEXT NOT NULL, code_postal TEXT NOT NULL,
    ville TEXT NOT NULL, telephone TEXT NOT NULL, email TEXT NOT NULL,
    agence TEXT NOT NULL REFERENCES agence (safir), conseiller TEXT NOT NULL,
    date_inscription TEXT NOT NULL, date_fin TEXT, situation TEXT NOT NULL, rqth INTEGER NOT NULL,
    orientation_sante TEXT NOT NULL, logement TEXT NOT NULL, note TEXT NOT NULL
);
CREATE TABLE historique (
    id_demandeur INTEGER NOT NULL REFERENCES demandeur (id), date TEXT NOT NULL, evenement TEXT NOT NULL
);
CREATE TABLE conjoint (
    id_demandeur INTEGER PRIMARY KEY REFERENCES demandeur (id),
    nir TEXT NOT NULL, nom TEXT NOT NULL, prenom TEXT NOT NULL
);
CREATE TABLE enfant (
    id_demandeur INTEGER NOT NULL REFERENCES demandeur (id), nir TEXT NOT NULL, prenom TEXT NOT NULL
);
"""

#: Made after the rows: sorting once is several times faster than inserting in the order of nothing.
INDEXES: Final = """
CREATE UNIQUE INDEX demandeur_nir ON demandeur (nir);
CREATE UNIQUE INDEX demandeur_numero ON demandeur (numero_francetravail);
CREATE INDEX demandeur_nom ON demandeur (nom, prenom);
CREATE INDEX historique_demandeur ON historique (id_demandeur);
CREATE INDEX enfant_demandeur ON enfant (id_demandeur);
"""
