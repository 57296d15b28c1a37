//! Machines whose boot files somebody would like to replace, and odd machines of
//! honest people: whose word counts.

mod attacks;
mod leads_off;
mod machine;
mod odd;
