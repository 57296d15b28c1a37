//! Tests that are the same story on one installed system after the other.

/// A test for each line `NAME: SUITE, LAYOUT;`, which calls the function in front
/// with both. Attributes of a line are the test's own.
#[macro_export]
macro_rules! cells {
    ($scenario:ident; $($(#[$attribute:meta])* $name:ident: $suite:ident, $layout:ident;)*) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $name() -> anyhow::Result<()> {
                $scenario($crate::apt::Suite::$suite, $crate::installed::SystemLayout::$layout)
            }
        )*
    };
}
