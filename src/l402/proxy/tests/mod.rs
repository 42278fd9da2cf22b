mod forward;
mod house;
mod leaks;
mod manage;
mod streams;
mod tricks;
mod trouble;
mod upstream;
