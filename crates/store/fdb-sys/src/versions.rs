//! Choosing code by API version, as the `foundationdb` crate does it; here the version is 7.3.

/// Keeps what is after `=>` if 7.3 lies between `min` and `max` (versions as `FDB_API_VERSION`
/// counts them), else what is after `else`.
#[macro_export]
macro_rules! if_cfg_api_versions {
    (min = 740 $($rest:tt)*) => { $crate::if_cfg_api_versions! { @no $($rest)* } };
    (min = $min:tt, max = 730 => $($rest:tt)*) => {
        $crate::if_cfg_api_versions! { @yes => $($rest)* }
    };
    (min = $min:tt, max = 740 => $($rest:tt)*) => {
        $crate::if_cfg_api_versions! { @yes => $($rest)* }
    };
    (min = $min:tt, max = $max:tt => $($rest:tt)*) => {
        $crate::if_cfg_api_versions! { @no => $($rest)* }
    };
    (min = $min:tt => $($rest:tt)*) => { $crate::if_cfg_api_versions! { @yes => $($rest)* } };
    (max = 730 => $($rest:tt)*) => { $crate::if_cfg_api_versions! { @yes => $($rest)* } };
    (max = 740 => $($rest:tt)*) => { $crate::if_cfg_api_versions! { @yes => $($rest)* } };
    (max = $max:tt => $($rest:tt)*) => { $crate::if_cfg_api_versions! { @no => $($rest)* } };
    (@yes => {$($then:tt)*} else {$($other:tt)*}) => {{ $($then)* }};
    (@yes => $($then:tt)*) => { $($then)* };
    (@no $(, max = $max:tt)? => {$($then:tt)*} else {$($other:tt)*}) => {{ $($other)* }};
    (@no $(, max = $max:tt)? => $($then:tt)*) => {};
}

#[cfg(test)]
mod tests {
    /// Which branch a condition takes.
    macro_rules! check {
        ($expected:literal: $($condition:tt)*) => {
            let taken = $crate::if_cfg_api_versions!($($condition)* => { true } else { false });
            assert_eq!(taken, $expected, stringify!($($condition)*));
        };
    }

    #[test]
    fn versions_are_compared_with_7_3() {
        check!(true: min = 510);
        check!(true: min = 730);
        check!(false: min = 740);
        check!(true: max = 740);
        check!(true: max = 730);
        check!(false: max = 710);
        check!(true: min = 620, max = 730);
        check!(false: min = 510, max = 600);
        check!(false: min = 740, max = 740);
    }
}
