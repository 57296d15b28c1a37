//! Tables over the rule.
