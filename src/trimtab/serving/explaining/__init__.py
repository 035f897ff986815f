"""Why a model answered as it did: what each column of a row added to its score, exactly, for trees and linear models.

Shapley values of the tree's own game: a column that is not known is averaged over by the rows that the tree was trained
on (path-dependent, as XGBoost's and LightGBM's ``pred_contrib`` and the shap library's TreeExplainer have it). They add up
to the score less its base.
"""
