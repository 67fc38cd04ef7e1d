"""The n-gram memory: which token followed which, and what that promises."""
