//! Pictures and where they are kept. This crate alone names `image` and `object_store`.
//!
//! [`renewed`] turns a file from anybody into a JPEG that was made here, from pixels alone: whatever else the file held
//! (place, time, camera, comments, another file behind its end) is not copied, because nothing is copied. [`Shelf`] keeps
//! bytes under ids, in a folder or in a store that speaks S3.

mod picture;
mod s3;
mod shelf;

pub use picture::{Bounds, PictureFault, Renewed, renewed};
pub use s3::S3Configuration;
pub use shelf::{Shelf, ShelfError};
