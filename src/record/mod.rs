//! What a record is: bytes in, values out; no I/O, no clock.
