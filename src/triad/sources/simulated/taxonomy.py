"""The shop's range: categories with their words and price levels, and brands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Leaf:
    """A narrow category. `price` is its middle price in whole currency units."""

    path: str
    noun: str
    kinds: tuple[str, ...]
    price: float


@dataclass(frozen=True)
class Top:
    """A broad category, the words its texts use and the brands at home in it."""

    name: str
    leaves: tuple[tuple[str, str, tuple[str, ...], float], ...]
    materials: tuple[str, ...]
    purposes: tuple[str, ...]
    brands: tuple[str, ...]


TOPS = (
    Top(
        "home",
        (
            ("bedding", "bedding", ("duvet cover", "pillowcase set", "bed throw", "fitted sheet"), 45),
            ("lighting", "lamp", ("table lamp", "floor lamp", "pendant light", "reading light"), 60),
            ("storage", "storage", ("basket", "shelf box", "shoe rack", "drawer organiser"), 28),
            ("decoration", "decoration", ("vase", "wall mirror", "picture frame", "candle holder"), 24),
        ),
        ("linen", "oak", "cotton", "rattan", "brass"),
        ("quiet bedrooms", "small flats", "bright living rooms", "the hallway"),
        ("Norrland", "Casa Lume", "Heim & Co", "Willowby"),
    ),
    Top(
        "kitchen",
        (
            ("cookware", "pan", ("frying pan", "saucepan", "casserole", "wok"), 55),
            ("tableware", "tableware", ("plate set", "bowl set", "mug", "serving dish"), 32),
            ("knives", "knife", ("chef's knife", "bread knife", "paring knife", "knife block"), 48),
            ("coffee", "coffee maker", ("coffee grinder", "moka pot", "pour-over set", "milk frother"), 42),
        ),
        ("cast iron", "stainless steel", "stoneware", "copper", "enamel"),
        ("slow Sundays", "busy weeknights", "a full table", "early mornings"),
        ("Brunel", "Ostara", "Kobo Works", "Petit Four"),
    ),
    Top(
        "fashion",
        (
            ("dresses", "dress", ("wrap dress", "summer dress", "shirt dress", "knit dress"), 65),
            ("shirts", "shirt", ("oxford shirt", "polo shirt", "overshirt", "t-shirt"), 35),
            ("jackets", "jacket", ("rain jacket", "denim jacket", "quilted jacket", "blazer"), 95),
            ("shoes", "shoes", ("trainers", "ankle boots", "loafers", "sandals"), 80),
        ),
        ("merino", "organic cotton", "denim", "linen", "suede"),
        ("the office", "long weekends", "city walks", "mild evenings"),
        ("Alder Row", "Maison Vey", "Fjordline", "Tessuto"),
    ),
    Top(
        "beauty",
        (
            ("skincare", "skincare", ("day cream", "face serum", "cleanser", "night balm"), 26),
            ("haircare", "haircare", ("shampoo", "hair mask", "styling oil", "conditioner"), 17),
            ("fragrance", "perfume", ("eau de parfum", "body mist", "cologne", "scented oil"), 58),
            ("bath", "bath", ("bath salts", "hand soap", "body scrub", "shower gel"), 14),
        ),
        ("rosehip", "almond", "aloe", "oat", "citrus"),
        ("dry skin", "everyday care", "sensitive skin", "a calm evening"),
        ("Luma", "Verbena Lane", "Sól", "Apothek 9"),
    ),
    Top(
        "electronics",
        (
            ("headphones", "headphones", ("over-ear headphones", "earbuds", "sports earphones", "headset"), 110),
            ("speakers", "speaker", ("portable speaker", "soundbar", "bookshelf speaker", "shower radio"), 130),
            ("chargers", "charger", ("wall charger", "power bank", "charging stand", "travel adapter"), 34),
            ("keyboards", "keyboard", ("mechanical keyboard", "compact keyboard", "mouse", "number pad"), 75),
        ),
        ("aluminium", "matte", "recycled plastic", "woven", "graphite"),
        ("the home office", "long flights", "the gym bag", "small desks"),
        ("Voltr", "Aumio", "Northbeam", "Kettering"),
    ),
    Top(
        "outdoor",
        (
            ("backpacks", "backpack", ("day pack", "trekking pack", "roll-top backpack", "hip bag"), 85),
            ("tents", "tent", ("two-person tent", "family tent", "tarp", "bivy"), 190),
            ("bottles", "bottle", ("water bottle", "thermos", "travel mug", "flask"), 24),
            ("fitness", "fitness gear", ("yoga mat", "kettlebell", "resistance band set", "skipping rope"), 30),
        ),
        ("ripstop", "steel", "waxed canvas", "cork", "recycled nylon"),
        ("day hikes", "wet weather", "weekend trips", "training at home"),
        ("Ridgeway", "Pola", "Tarn & Fell", "Solvind"),
    ),
)

LEAVES = tuple(
    Leaf(f"{top.name}/{name}", noun, kinds, price) for top in TOPS for name, noun, kinds, price in top.leaves
)
TOP_OF_LEAF = np.repeat(np.arange(len(TOPS)), [len(top.leaves) for top in TOPS])
BRANDS = tuple(brand for top in TOPS for brand in top.brands)
TOP_OF_BRAND = np.repeat(np.arange(len(TOPS)), [len(top.brands) for top in TOPS])
COLOURS = ("sand", "forest green", "navy", "black", "off-white", "rust", "sage", "grey", "berry", "sky blue")
GRADES = (("basic", "simple", "budget"), ("classic", "everyday", "modern"), ("premium", "handmade", "signature"))
"""Adjectives by perceived quality, low to high."""
