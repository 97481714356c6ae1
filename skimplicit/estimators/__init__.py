"""scikit-learn estimators: they translate between the user's data and units and the floors below."""
