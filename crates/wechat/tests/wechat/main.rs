//! The client against the sandbox, over real HTTP: every call and every refusal of the contract.

mod checks;
mod code_image;
mod log_in;
mod messages;
mod stage;
mod steering;
mod token;
mod transport;
