//! Reverse DNS, DNS block lists and MX checks of a sender.
