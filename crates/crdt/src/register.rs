//! Registers: a value that is replaced whole.

mod lww_register;
mod mv_register;
#[cfg(test)]
mod tests;

pub use lww_register::LwwRegister;
pub use mv_register::MvRegister;
