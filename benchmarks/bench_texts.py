"""Real texts: of which package is a docstring? Defaults beside logistic regression and a perceptron.

The texts are the first words of the docstrings of installed packages, without the names of these, as tf-idf or counts;
as many new ones as there are in training. Accuracy, log-loss and seconds of the processor.
``OMP_NUM_THREADS=1 python benchmarks/bench_texts.py --seeds 2``
"""

import argparse
import importlib
import inspect
import pkgutil
import re
import warnings
from functools import cache
from time import process_time

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import accuracy_score, log_loss
from sklearn.neural_network import MLPClassifier

from skimplicit import ImplicitClassifier

FIVE = ("numpy", "scipy", "sklearn", "pandas", "matplotlib")
#: Packages, texts, words of each, and what is made of these.
SETS = {
    "400 short, 2 packages": (("pandas", "polars"), 400, 12, TfidfVectorizer),
    "800 short, 5 packages": (FIVE, 800, 12, TfidfVectorizer),
    "500 long, 5 packages": (FIVE, 500, 60, TfidfVectorizer),
    "600 long, 2 packages": (("dask", "distributed"), 600, 40, TfidfVectorizer),
    "600 counts, 5 packages": (FIVE, 600, 30, CountVectorizer),
    "2000 short, 5 packages": (FIVE, 2000, 15, TfidfVectorizer),
}
MODELS = {
    "defaults": ImplicitClassifier(random_state=0),
    "logistic regression": LogisticRegressionCV(
        Cs=np.logspace(-3, 3, 7),
        cv=5,
        scoring="neg_log_loss",
        max_iter=1000,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    ),
    "MLP": MLPClassifier(random_state=0),
}


@cache
def docstrings(package):
    """Return the docstrings of what is in a package, each once."""
    found, root = {}, importlib.import_module(package)
    names = [module.name for module in pkgutil.walk_packages(root.__path__, package + ".", onerror=lambda name: None)]
    for name in [package, *names]:
        if "test" in name or ".__" in name or name.count(".") > 3:
            continue
        try:
            module = importlib.import_module(name)
        except Exception:  # what needs another package, or another system
            continue
        for thing in vars(module).values():
            members = vars(thing).values() if inspect.isclass(thing) else ()
            for text in (getattr(each, "__doc__", None) for each in (thing, *members) if callable(each)):
                if isinstance(text, str) and len(text) > 80:
                    found.setdefault(text[:150], text)
    return list(found.values())


def texts(packages, n_texts, n_words, rng):
    """Return texts and the numbers of their packages, twice as many."""
    chosen, y = [], []
    for number, package in enumerate(packages):
        known = docstrings(package)
        for i in rng.choice(len(known), size=2 * n_texts // len(packages), replace=False):
            words = re.findall(r"[a-z]{2,}", known[i].lower())
            chosen.append(" ".join([word for word in words if word not in (package, "np", "pd", "plt")][:n_words]))
            y.append(number)
    order = rng.permutation(len(y))
    return [chosen[i] for i in order], np.array(y)[order]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of modules that are imported, and of iterations that do not converge
    for name, (packages, n_texts, n_words, vectorizer) in SETS.items():
        for seed in range(arguments.seeds):
            words, y = texts(packages, n_texts, n_words, np.random.default_rng(seed))
            m, vectors = len(y) // 2, vectorizer()
            train, test = vectors.fit_transform(words[:m]), vectors.transform(words[m:])
            for label, model in MODELS.items():
                start = process_time()
                model.fit(train, y[:m])
                seconds, P = process_time() - start, model.predict_proba(test)
                accuracy, loss = accuracy_score(y[m:], P.argmax(axis=1)), log_loss(y[m:], P)
                size = f"{train.shape[0]} x {train.shape[1]}"
                print(f"{name:24} {size:12} {seed} {label:20} {accuracy:.3f} {loss:.3f} {seconds:7.1f} s", flush=True)


if __name__ == "__main__":
    main()
